"""Ends as a process does that a library crashed."""

import os

os.abort()
