"""Processes, devices, transfers, signals and the console of a run."""
