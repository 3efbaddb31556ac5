"""Benchmarks that look recorded results up."""
