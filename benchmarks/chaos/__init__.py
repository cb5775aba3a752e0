"""Kills drivers, workers and machines while searches run, and checks that nothing is lost."""
