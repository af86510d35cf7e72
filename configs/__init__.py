"""Configs of runs: choose one with `--config=configs/NAME.py`, a field with `--config.x.y=...`."""
