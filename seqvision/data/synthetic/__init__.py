"""Clips and lines of writing, made from digits."""
