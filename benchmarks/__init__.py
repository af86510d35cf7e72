"""How fast seqvision is, side by side with what one would use instead. See README.md, Speed."""
