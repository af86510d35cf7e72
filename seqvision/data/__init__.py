"""Data sets: sources, order, batches, and their way onto the devices."""
