"""Times that can be read but that a file got wrong: each is shown by the bars, and refused."""
