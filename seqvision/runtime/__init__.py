"""Processes, devices, and the terminal: what a run runs on."""
