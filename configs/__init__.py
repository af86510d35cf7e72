"""What a run does. Pick one with `--config=configs/NAME.py`; change a field with `--config.x.y=...`."""
