"""Checks of whole runs: properties that the tests are too short for."""
