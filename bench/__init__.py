"""Benchmarks: method in bench/README.md."""
