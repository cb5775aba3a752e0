"""Twice the width, a little less regularisation: when conservative has passed."""

from optuna import Trial

EPOCHS = 50


def space(trial: Trial) -> dict:
    """Suggests a network of some 12,000 parameters and its smaller neighbours."""
    # Model: 128-64-32 is the aim; the small ones show whether width pays at all.
    trial.suggest_categorical("model/hidden_dims", ["128-64-32", "128-64", "64-32-16"])
    trial.suggest_float("model/dropout", 0.2, 0.3)

    # Optimizer: a decade of learning rate around 8e-5.
    trial.suggest_float("optimizer/lr", 3e-5, 3e-4, log=True)
    trial.suggest_float("optimizer/weight_decay", 1e-4, 2e-3, log=True)
    # 5 hardly clips at all, 0.5 clips nearly every step: the larger number is the weaker hold.
    trial.suggest_float("optimizer/clip", 0.5, 5.0, log=True)

    # Schedule: warm-up always; a falling rate afterwards has a floor of its own.
    name = trial.suggest_categorical("schedule/name", ["warmup", "warmup_cosine"])
    trial.suggest_int("schedule/warmup_steps", 2000, 5000, step=1000)
    if name == "warmup_cosine":
        trial.suggest_float("schedule/floor", 0.02, 0.2, log=True)

    constants = {"model/name": "mlp", "optimizer/name": "adamw", "loss/name": "adaptive_huber"}
    return constants | {"train/batch_size": 48, "train/patience": 25}
