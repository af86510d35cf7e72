"""What a run does: one with `--config=configs/NAME.py`, a field with `--config.x.y=...`."""
