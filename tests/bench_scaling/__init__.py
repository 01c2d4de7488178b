"""Measures how a model follows its load on a real cluster: `make bench-scaling`."""
