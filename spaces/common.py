"""What practitioners use on daily panels: large batches, higher rates, returns z-scored by day."""

from optuna import Trial

EPOCHS = 30


def space(trial: Trial) -> dict:
    """Suggests a perceptron, or one that is many in one (TabM), on targets z-scored by day."""
    # Model: TabM's networks share their weights and are averaged.
    trial.suggest_categorical("model/name", ["mlp", "tabm"])
    trial.suggest_categorical("model/hidden_dims", ["128-64", "256-128"])
    trial.suggest_float("model/dropout", 0.0, 0.4)

    # Optimizer: rates that fit batches of hundreds to thousands of rows.
    trial.suggest_float("optimizer/lr", 1e-4, 1e-2, log=True)
    trial.suggest_float("optimizer/weight_decay", 1e-5, 1e-1, log=True)
    trial.suggest_float("optimizer/clip", 0.5, 5.0, log=True)
    trial.suggest_categorical("train/batch_size", [2048, 256, 8192])

    # Schedule: a falling rate ends on weights that no longer jump.
    constants = {"schedule/name": "warmup_cosine", "schedule/warmup_steps": 10}

    # Target: how far a symbol is ahead of the others on its day, as Qlib has it.
    constants |= {"data/target": "z_by_day", "loss/name": "mse", "optimizer/name": "adamw"}
    return constants | {"train/patience": 10}
