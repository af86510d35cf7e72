"""The same networks, written as users of each library would; one process runs one of them."""
