"""A large transformer with a second-order optimizer and several horizons: an open question."""

from optuna import Trial

EPOCHS = 20
STEPS_PER_EPOCH = 500


def space(trial: Trial) -> dict:
    """Suggests optimizers and losses for a transformer of 512 wide over ninety bars."""
    # Model: one size; the window is longer than stable's.
    trial.suggest_float("model/dropout", 0.1, 0.25)

    # Optimizer: sophia steps by the curvature; lion and muon are its rivals.
    trial.suggest_categorical("optimizer/name", ["sophia", "lion", "muon"])
    trial.suggest_float("optimizer/lr", 2e-5, 3e-4, log=True)
    trial.suggest_float("optimizer/weight_decay", 1e-3, 2e-1, log=True)
    trial.suggest_float("optimizer/clip", 0.5, 5.0, log=True)

    # Schedule: a thousand steps of warm-up.
    constants = {"schedule/name": "warmup_cosine", "schedule/warmup_steps": 1000}

    # Loss: one return a horizon, weighted by one over the root of its length.
    constants |= {"loss/name": "weighted", "loss/phases": '{"0": {"huber": 1.0}}'}
    constants |= {"loss/horizons": "1-5-10", "model/name": "transformer", "model/hidden": 512}
    constants |= {"model/layers": 8, "model/attention_heads": 16, "model/checkpointing": True}
    return constants | {"data/window": 90, "train/batch_size": 32, "train/precision": "bf16"}
