"""Networks that read the order of the window: recurrent ones and convolutions."""

from optuna import Trial

EPOCHS = 30
STEPS_PER_EPOCH = 400


def space(trial: Trial) -> dict:
    """Suggests a small recurrent or convolutional network over a window of bars."""
    # Model: the window matters more than the width; a network of 5,000 parameters is enough.
    trial.suggest_categorical("model/name", ["gru", "lstm", "tcn"])
    trial.suggest_categorical("model/hidden", [16, 32])
    trial.suggest_float("model/dropout", 0.0, 0.3)
    trial.suggest_categorical("data/window", [10, 20])

    # Optimizer: recurrent gradients come in bursts, so the clip is searched over a decade.
    trial.suggest_float("optimizer/lr", 1e-4, 5e-3, log=True)
    trial.suggest_float("optimizer/weight_decay", 1e-4, 1e-2, log=True)
    trial.suggest_float("optimizer/clip", 0.5, 5.0, log=True)

    # Schedule: a short rise, then a cosine down to a twentieth.
    constants = {"schedule/name": "warmup_cosine", "schedule/warmup_steps": 200}

    # Loss: the Huber loss, since a window of returns has heavy tails.
    constants |= {"optimizer/name": "adamw", "loss/name": "huber"}
    return constants | {"train/batch_size": 128, "train/patience": 10}
