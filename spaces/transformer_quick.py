"""Small transformers for a thousand steps: does attention over the window find anything?"""

from optuna import Trial

EPOCHS = 5
STEPS_PER_EPOCH = 200


def space(trial: Trial) -> dict:
    """Suggests a transformer of two layers over thirty bars."""
    # Model: 64 wide with two layers has some 100,000 parameters.
    trial.suggest_categorical("model/hidden", [32, 64])
    trial.suggest_float("model/dropout", 0.0, 0.2)
    trial.suggest_categorical("model/pooling", ["last", "mean"])

    # Optimizer: gpro caps each tensor's step, so that the first hundred steps do no harm.
    trial.suggest_categorical("optimizer/name", ["gpro", "adamw"])
    trial.suggest_float("optimizer/lr", 1e-4, 3e-3, log=True)
    trial.suggest_float("optimizer/clip", 0.5, 5.0, log=True)

    # Schedule: a hundred steps of warm-up, counted in optimizer steps.
    constants = {"schedule/name": "warmup_cosine", "schedule/warmup_steps": 100}
    constants |= {"model/name": "transformer", "model/attention_heads": 4, "model/layers": 2}
    constants |= {"loss/name": "huber"}
    return constants | {"data/window": 30, "train/batch_size": 64}
