"""Sweeps that end in minutes."""
