"""Reproducible benchmarks: `python -m bench` (`make bench`); docs/benchmarks.md says how they measure."""
