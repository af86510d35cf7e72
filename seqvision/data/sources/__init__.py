"""Loaders: data sets by name, and users' own files."""
