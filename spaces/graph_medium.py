"""Graph networks with several horizons and losses of whole days: after graph_conservative."""

from optuna import Trial

EPOCHS = 30
STEPS_PER_EPOCH = 200
PHASES = '{"0": {"huber": 1.0}, "5": {"huber": 0.5, "sharpe": 0.3, "ic": 0.1}}'


def space(trial: Trial) -> dict:
    """Suggests networks of about 100,000 to 630,000 parameters that answer four horizons."""
    # Model: LSTM and attention side by side; two to four attentions to the neighbours.
    trial.suggest_categorical("model/hidden", [64, 128])
    trial.suggest_categorical("model/graph_layers", [2, 3, 4])
    trial.suggest_float("model/dropout", 0.1, 0.4)
    trial.suggest_float("model/edge_dropout", 0.1, 0.4)

    # Optimizer: a decade around 5e-4.
    trial.suggest_float("optimizer/lr", 1e-4, 2e-3, log=True)
    trial.suggest_float("optimizer/weight_decay", 1e-6, 1e-3, log=True)
    trial.suggest_float("optimizer/clip", 0.5, 5.0, log=True)

    # Loss: single returns first, then also the order of the day and its portfolio.
    constants = {"loss/name": "weighted", "loss/horizons": "1-5-10-20", "loss/phases": PHASES}
    constants |= {"model/name": "graph", "data/window": 20, "train/batch_size": 512}
    constants |= {"schedule/name": "warmup_cosine", "schedule/warmup_steps": 200}
    return constants | {"optimizer/name": "adamw", "train/patience": 10}
