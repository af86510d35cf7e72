"""Benchmarks of speed, side by side with what one would use instead."""
