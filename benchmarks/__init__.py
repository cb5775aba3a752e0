"""Measurements that prove the figures of `benchmarks/README.md`: run them with `python -m`."""
