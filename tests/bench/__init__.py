"""Measures the figures of docs/benchmarks.md: `python -m tests.bench`, or `make bench`."""
