"""The large transformer, 25.5 million parameters, in bfloat16 on a GPU: only after stable."""

from optuna import Trial

EPOCHS = 20
STEPS_PER_EPOCH = 500


def space(trial: Trial) -> dict:
    """Suggests how a transformer of 512 wide and eight layers is trained, not what it is."""
    # Model: one size; dropout 0.15 is what it was trained with.
    trial.suggest_float("model/dropout", 0.1, 0.25)

    # Optimizer: four micro-batches of 32 make one step of 128 rows.
    trial.suggest_float("optimizer/lr", 2e-5, 2e-4, log=True)
    trial.suggest_float("optimizer/weight_decay", 1e-4, 1e-1, log=True)
    trial.suggest_float("optimizer/clip", 0.5, 5.0, log=True)

    # Schedule: the warm-up is counted in optimizer steps, not in micro-batches.
    trial.suggest_categorical("schedule/warmup_steps", [500, 1000])

    constants = {"model/name": "transformer", "model/hidden": 512, "model/layers": 8}
    constants |= {"model/attention_heads": 16, "model/checkpointing": True}
    constants |= {"optimizer/name": "adamw", "schedule/name": "warmup_cosine"}
    constants |= {"loss/name": "huber", "data/window": 60, "train/batch_size": 128}
    return constants | {"train/accumulate": 4, "train/precision": "bf16", "train/patience": 6}
