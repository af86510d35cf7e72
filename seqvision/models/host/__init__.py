"""Networks stepped by numpy on the host: for a few sequences sooner than a compiled program."""
