"""Pictures of a run, drawn by Matplotlib: a function each."""
