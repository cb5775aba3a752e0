"""What a search costs besides training: study, sampler, pruner, reports and tables."""
