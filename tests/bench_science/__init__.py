"""How well rules read abstracts: a corpus with truth made by hand, scores, and their section of docs/benchmarks.md."""
