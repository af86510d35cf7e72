"""State, steps, and what feeds them."""
