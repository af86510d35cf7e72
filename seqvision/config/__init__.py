"""Settings of a run: their schema, their checks, the command line."""
