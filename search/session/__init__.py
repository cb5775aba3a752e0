"""One search from its plan to its ranking; resuming, interrupting and finishing it."""
