"""Small graph networks on a panel of symbols: each one's window, then those that move with it."""

from optuna import Trial

EPOCHS = 20
STEPS_PER_EPOCH = 100


def space(trial: Trial) -> dict:
    """Suggests networks of about 30,000 to 120,000 parameters on whole days."""
    # Model: what a symbol's own window says, then two attentions to its neighbours.
    trial.suggest_categorical("model/hidden", [32, 64])
    trial.suggest_categorical("model/encoder", ["lstm", "attention"])
    trial.suggest_float("model/dropout", 0.2, 0.4)
    trial.suggest_float("model/edge_dropout", 0.0, 0.3)

    # Optimizer: a decade around what such small networks take.
    trial.suggest_float("optimizer/lr", 1e-4, 1e-3, log=True)
    trial.suggest_float("optimizer/weight_decay", 1e-5, 1e-2, log=True)
    trial.suggest_float("optimizer/clip", 0.5, 5.0, log=True)

    # Batches: of whole days, so many rows of which two days of all symbols must fit in.
    constants = {"model/name": "graph", "data/window": 20, "train/batch_size": 256}
    constants |= {"schedule/name": "warmup", "schedule/warmup_steps": 100}
    constants |= {"optimizer/name": "adamw", "loss/name": "huber"}
    return constants | {"train/patience": 8}
