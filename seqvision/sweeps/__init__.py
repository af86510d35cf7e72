"""Sweeps: many runs of one config."""
