"""The same search as usually written with Optuna alone, and by this project, beside the truth."""
