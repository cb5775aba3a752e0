"""What the report on the graph network asked to be tried: plateau, loss, width, learning rate."""

from optuna import Trial

EPOCHS = 50
LOSSES = {
    "returns": '{"0": {"huber": 1.0}}',
    "portfolio": '{"0": {"huber": 0.3, "sharpe": 0.5, "ic": 0.1, "rank_ic": 0.1}}',
}


def space(trial: Trial) -> dict:
    """Suggests its four experiments together: each may help only with another."""
    # Experiment 1: how soon the learning rate falls, and how far.
    trial.suggest_categorical("schedule/plateau_patience", [5, 3, 10])
    trial.suggest_categorical("schedule/factor", [0.5, 0.3, 0.7])

    # Experiment 2: weights of the loss.
    phases = LOSSES[trial.suggest_categorical("losses", list(LOSSES))]

    # Experiments 3 and 4: twice the width, and twice the learning rate.
    trial.suggest_categorical("model/hidden", [256, 512])
    trial.suggest_categorical("optimizer/lr", [5e-4, 1e-3])
    trial.suggest_float("optimizer/clip", 0.5, 5.0, log=True)

    constants = {"model/name": "graph", "model/attention_heads": 8, "data/window": 20}
    constants |= {"loss/name": "weighted", "loss/horizons": "1-5-10-20", "loss/phases": phases}
    constants |= {"optimizer/name": "adamw", "optimizer/weight_decay": 1e-5}
    return constants | {"schedule/name": "plateau", "train/batch_size": 2048}
