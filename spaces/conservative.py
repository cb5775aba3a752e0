"""Small, strongly regularised networks and slow learning: start here."""

from optuna import Trial

EPOCHS = 50


def space(trial: Trial) -> dict:
    """Suggests a network small enough to be known to train."""
    # Model: about 1,000 to 4,000 parameters on ten features.
    trial.suggest_categorical("model/hidden_dims", ["32-16", "64-32", "64-32-16"])
    trial.suggest_float("model/dropout", 0.25, 0.35)

    # Optimizer: one decade of learning rate, no more; 1e-5 is the fallback when all else fails.
    trial.suggest_float("optimizer/lr", 1e-5, 1e-4, log=True)
    trial.suggest_float("optimizer/weight_decay", 3e-4, 3e-3, log=True)
    # A clip of 5 is weaker than one of 2, not stronger: it lets larger gradients through.
    trial.suggest_float("optimizer/clip", 0.5, 5.0, log=True)

    # Schedule: a long warm-up, then constant; nobody is judged before the longer one has ended.
    trial.suggest_categorical("schedule/warmup_steps", [2000, 5000])

    constants = {"model/name": "mlp", "optimizer/name": "adamw", "schedule/name": "warmup"}
    constants["loss/name"] = "adaptive_huber"
    return constants | {"train/batch_size": 32, "train/patience": 25}
