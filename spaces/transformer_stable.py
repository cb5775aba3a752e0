"""Transformers that train steadily over sixty bars: when transformer_quick has passed."""

from optuna import Trial

EPOCHS = 25
STEPS_PER_EPOCH = 200


def space(trial: Trial) -> dict:
    """Suggests sizes that a CPU trains overnight; 256 wide with six layers wants a GPU."""
    # Model: fix.model/hidden=256 fix.model/layers=6 is the size that was stable on a GPU.
    trial.suggest_categorical("model/hidden", [64, 128])
    trial.suggest_categorical("model/layers", [2, 4])
    trial.suggest_float("model/dropout", 0.1, 0.2)

    # Optimizer: 5e-5 is the rate that held; a decade around it.
    trial.suggest_float("optimizer/lr", 2e-5, 2e-4, log=True)
    trial.suggest_float("optimizer/weight_decay", 1e-4, 1e-1, log=True)
    trial.suggest_float("optimizer/clip", 0.5, 5.0, log=True)

    # Schedule: nobody is judged in the first 300 steps.
    constants = {"schedule/name": "warmup_cosine", "schedule/warmup_steps": 300}
    constants |= {"model/name": "transformer", "model/attention_heads": 8, "loss/name": "huber"}
    constants |= {"optimizer/name": "adamw", "data/window": 60, "train/batch_size": 16}
    return constants | {"train/patience": 8}
