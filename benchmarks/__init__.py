"""Benchmarks: speed, accuracy beside other libraries, and checks of runs. See README.md, Speed."""
