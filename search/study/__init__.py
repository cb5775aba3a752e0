"""The study: the durable record of every trial, in an Optuna storage.

What several drivers of one study need is in `coordination/`.
"""
