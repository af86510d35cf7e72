"""Tables: published figures beside our own, by one command."""
