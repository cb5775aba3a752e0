"""The settings of a search, from the command line or from Python, and the masking of secrets."""
