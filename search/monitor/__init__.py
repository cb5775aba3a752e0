"""What a person sees of a search: the live display, the summary, metrics, TensorBoard."""
