"""Recurrent vision in JAX: images and clips read as sequences."""

__version__ = "0.1.0"
