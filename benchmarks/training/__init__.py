"""Benchmarks that train real networks."""
