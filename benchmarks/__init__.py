"""Benchmarks, by name. A new benchmark is one file and one line here."""

BENCHMARKS: dict[str, str] = {}
