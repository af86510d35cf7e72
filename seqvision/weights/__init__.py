"""Weights that other programs stored: arrays by the names that their files give them."""
