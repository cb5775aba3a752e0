"""Optimizer steps per second of every way to train."""
