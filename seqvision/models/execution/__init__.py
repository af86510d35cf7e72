"""Ways to run the steps of a recurrent layer. All have the same parameters."""
