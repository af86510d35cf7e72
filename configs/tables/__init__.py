"""Tables: published figures beside our own."""
