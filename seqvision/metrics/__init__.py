"""Metrics of predictions beside their targets, in float64 on the host."""
