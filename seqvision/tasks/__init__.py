"""Tasks: network outputs, losses, metrics and their texts."""
