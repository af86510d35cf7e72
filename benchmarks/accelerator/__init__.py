"""Checks and measures on an accelerator that is at hand for a few minutes."""
