"""Measurements of speed: FLOPs, peak, throughput, traces and their summary."""
