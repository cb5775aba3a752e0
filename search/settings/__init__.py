"""The settings of a search from the command line or from Python, and secrets hidden in them."""
