"""The page that reads while one writes, from a server or as a folder."""
