"""A run folder made by hand, with realistic numbers: what `analysis` reads in its tests."""

import json
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

RUNGS = (2, 8, 32, 50)
METRICS = (
    "sharpe", "sharpe_se", "sharpe_exposure", "best_sharpe", "val_loss", "first_val_loss", "skill",
    "accuracy", "ic", "rank_ic", "max_drawdown", "turnover", "break_even_bps", "nan_rate",
    "sharpe_clean",
)  # fmt: skip
COUNTS = ("parent", "stop_epoch", "epochs", "steps", "best_epoch", "ranking_epoch", "n_parameters",
          "seed", "cohort")  # fmt: skip
BASELINES = {"zero": None, "momentum": 0.31, "equal_weight": 0.94, "ridge": 0.62}
FAILURES = ("nan_explosion", "collapsed", "out_of_memory", "time_budget", "lr_stalled")


class Maker:
    """Collects the rows of the tables."""

    def __init__(self, seed: int, periods: int, symbols: int):
        self.random = np.random.default_rng(seed)
        self.timestamps = pd.bdate_range("2015-01-02", periods=periods)
        self.symbols = [f"S{i:02d}" for i in range(symbols)]
        self.trials: list[dict[str, Any]] = []
        self.epochs: list[dict[str, Any]] = []
        self.returns: list[pd.DataFrame] = []
        self.predictions: list[pd.DataFrame] = []
        self.market = self.random.standard_t(5, periods) * 0.006

    def net_returns(self, sharpe: float) -> np.ndarray:
        """Returns daily returns whose annual Sharpe ratio is exactly `sharpe`."""
        r = 0.3 * self.market + self.random.standard_t(5, len(self.timestamps)) * 0.004
        return r - r.mean() + sharpe / sqrt(252) * r.std(ddof=1)

    def trial(self, kind: str, sharpe: float | None, last: int, state: str, reason: str,
              params: dict[str, Any], parent: int | None = None) -> int:  # fmt: skip
        """Adds one trial with its curve up to epoch `last`; returns its number."""
        number = sum(row["kind"] != "baseline" for row in self.trials)
        loss = 1.004 - 0.008 * (sharpe or 0.0)
        e = np.arange(1, last + 1)
        val = loss + 0.05 * np.exp(-e / 4) + 0.00002 * e + self.random.normal(0, 2e-4, last)
        curve = (sharpe or 0.0) * (1 - np.exp(-e / 5)) + self.random.normal(0, 0.06, last)
        ranking = int(val.argmin()) + 1 if last else None
        if ranking and sharpe is not None:
            curve[ranking - 1] = sharpe
            self.add_returns(number, ranking, sharpe)
        lost = reason == "nan_explosion"
        for i in range(last):
            bad = lost and i == last - 1
            self.epochs.append({
                "number": number, "epoch": i + 1, "steps": 900 * (i + 1),
                "train_loss": None if bad else val[i] - 0.01,
                "val_loss": None if bad else val[i],
                "sharpe": None if bad or sharpe is None else curve[i],
                "train_sharpe": None if bad or sharpe is None else curve[i] + 0.3,
                "ic": curve[i] * 0.012, "train_ic": curve[i] * 0.02, "rank_ic": curve[i] * 0.011,
                "accuracy": 0.5 + curve[i] * 0.006, "lr": params["optimizer/lr"],
                "grad_norm": float(np.exp(-e[i] / 20)),
                "grad_norm.body": 0.4, "grad_norm.head": 0.3,
                "nan_rate": 0.3 if bad else 0.0, "prediction_std": 0.05, "steps_per_s": 5000.0,
                "tokens_per_s": 160000.0,
            })  # fmt: skip
        row = dict.fromkeys((*METRICS, *COUNTS)) | {
            "number": number, "kind": kind, "parent": parent, "state": state,
            "stop_reason": reason, "stop_epoch": last or None, "epochs": last, "steps": 900 * last,
            "stop_evidence": json.dumps({"epoch": last}), "seconds": 0.4 * last,
            "seed": 1000 + number, "cohort": number // 8, "n_parameters": 3573,
            "nan_rate": 0.0 if last else None,
            "ranking_epoch": ranking, "val_loss": val[ranking - 1] if ranking else None,
            "first_val_loss": val[0] if last else None, "skill": 1 - loss,
        }  # fmt: skip
        if sharpe is not None and last:
            row |= self.metrics(sharpe) | {
                "best_sharpe": float(curve.max()), "best_epoch": int(curve.argmax()) + 1,
            }  # fmt: skip
        self.trials.append(row | {f"params.{k}": v for k, v in params.items()})
        return number

    def metrics(self, sharpe: float) -> dict[str, float]:
        """Returns a trial's other figures that go with this Sharpe ratio."""
        years = len(self.timestamps) / 252
        return {
            "sharpe": sharpe, "sharpe_se": sqrt((1 + sharpe**2 / 504) / years),
            "sharpe_exposure": sharpe + 0.2, "accuracy": 0.5 + 0.006 * sharpe, "ic": 0.012 * sharpe,
            "rank_ic": 0.011 * sharpe, "max_drawdown": -0.12, "turnover": 0.8 - 0.1 * sharpe,
            "break_even_bps": 1 + 4 * sharpe,
            "sharpe_clean": sharpe,
        }  # fmt: skip

    def add_returns(self, number: int, epoch: int, sharpe: float) -> None:
        """Adds the net returns of one trial at one epoch."""
        self.returns.append(pd.DataFrame({
            "number": number, "epoch": epoch, "timestamp": self.timestamps,
            "net_return": self.net_returns(sharpe),
        }))  # fmt: skip

    def params(self) -> dict[str, Any]:
        """Returns a configuration of the conservative space."""
        return {
            "model/name": "mlp",
            "model/hidden_dims": str(self.random.choice(["32-16", "64-32", "64-32-16"])),
            "model/dropout": float(self.random.uniform(0.25, 0.35)),
            "optimizer/name": "adamw",
            "optimizer/lr": float(10 ** self.random.uniform(-5, -4)),
            "optimizer/weight_decay": float(10 ** self.random.uniform(-4, -2)),
            "optimizer/clip": float(np.exp(self.random.uniform(np.log(0.5), np.log(5)))),
            "schedule/warmup_steps": 2000,
            "train/batch_size": 32,
        }


def make_run(folder: Path, trials: int = 24, seed: int = 0, *, periods: int = 1247,
             survivors: bool = True, failed_seed: bool = True, interrupted: int = 0,
             edge: float = 0.0, baselines: bool = True) -> Path:  # fmt: skip
    """Writes a run folder by contract; returns it.

    Args:
        folder: where to write; created.
        trials: searched configurations.
        seed: of the made-up numbers.
        periods: validation days.
        survivors: False: every trial fails numerically.
        failed_seed: one seed of the second-best finalist explodes.
        interrupted: this many trials are left RUNNING.
        edge: added to every Sharpe ratio.
        baselines: with baseline rows.
    """
    maker = Maker(seed, periods, symbols=3)
    random = maker.random
    skill = edge + random.normal(0.1, 0.45, trials)
    order = skill.argsort()[::-1]
    place = {int(number): i for i, number in enumerate(order)}
    for i in range(trials):
        quantile = place[i] / trials
        if not survivors or random.random() < 0.12:
            reason = str(random.choice(FAILURES[:2] if not survivors else FAILURES))
            state = "FAIL" if reason == "out_of_memory" else "PRUNED"
            last = 1 if reason in FAILURES[:2] else int(random.integers(1, 9))
            sharpe = None if reason in ("nan_explosion", "collapsed") else float(skill[i])
        elif i >= trials - interrupted:
            sharpe, last, state, reason = float(skill[i]), 5, "RUNNING", "interrupted"
        elif quantile < 0.2:
            early = random.random() < 0.3
            last = 41 if early else 50
            sharpe, state, reason = float(skill[i]), "COMPLETE", "completed"
            reason = "converged" if early else reason
        else:
            last = RUNGS[0] if quantile > 0.5 else RUNGS[1] if quantile > 0.3 else RUNGS[2]
            flat = last > 2 and random.random() < 0.25
            reason, last = ("flat_sharpe", last + 3) if flat else ("asha_rung", last)
            sharpe, state = float(skill[i]), "PRUNED"
        kind = "enqueued" if i == 0 else "search"
        maker.trial(kind, sharpe, last, state, reason, maker.params())
    _add_seeds(maker, failed_seed)
    if baselines:
        _add_baselines(maker)
    _write(folder, maker, trials)
    return folder


def _add_seeds(maker: Maker, failed_seed: bool) -> None:
    firsts = [row for row in maker.trials if row["state"] == "COMPLETE"]
    firsts.sort(key=lambda row: -row["sharpe"])
    for place, first in enumerate(firsts):
        params = {k[7:]: v for k, v in first.items() if k.startswith("params.")}
        for repeat in range(2):
            if failed_seed and place == 1 and repeat == 1:
                maker.trial("seed", None, 1, "PRUNED", "nan_explosion", params, first["number"])
                continue
            sharpe = first["sharpe"] - 0.1 + float(maker.random.normal(0, 0.12))
            maker.trial("seed", sharpe, 50, "COMPLETE", "completed", params, first["number"])
    for first in firsts:
        for symbol in maker.symbols:
            maker.predictions.append(pd.DataFrame({
                "number": first["number"], "timestamp": maker.timestamps, "symbol": symbol,
                "prediction": maker.random.normal(0, 0.05, len(maker.timestamps)),
            }))  # fmt: skip


def _add_baselines(maker: Maker) -> None:
    for i, (name, sharpe) in enumerate(BASELINES.items(), start=1):
        row = dict.fromkeys((*METRICS, *COUNTS)) | {
            "number": -i, "kind": "baseline", "state": "COMPLETE", "stop_reason": "completed",
            "stop_evidence": "{}", "params.model/name": name, "seconds": 0.0,
        }  # fmt: skip
        if sharpe is not None:
            row |= maker.metrics(sharpe)
            maker.add_returns(-i, 0, sharpe)
        maker.trials.append(row)


def _write(folder: Path, maker: Maker, trials: int) -> None:
    (folder / "best").mkdir(parents=True)
    (folder / "best" / "model.safetensors").write_bytes(b"")
    (folder / "best" / "config.json").write_text("{}", encoding="utf-8")
    frame = pd.DataFrame(maker.trials)
    frame = frame.astype({c: "Float64" for c in METRICS} | {c: "Int64" for c in COUNTS})
    frame.to_parquet(folder / "trials.parquet")
    epochs = pd.DataFrame(maker.epochs, columns=None if maker.epochs else ["number", "epoch",
                          "val_loss", "sharpe"])  # fmt: skip
    epochs.to_parquet(folder / "epochs.parquet")
    empty = pd.DataFrame(columns=["number", "epoch", "timestamp", "net_return"])
    returns = pd.concat(maker.returns) if maker.returns else empty
    returns.to_parquet(folder / "returns.parquet", index=False)
    none = pd.DataFrame(columns=["number", "timestamp", "symbol", "prediction"])
    predictions = pd.concat(maker.predictions) if maker.predictions else none
    predictions.to_parquet(folder / "predictions.parquet", index=False)
    run = {
        "name": folder.name,
        "settings": {"space": "conservative", "trials": trials, "data": {"source": "us20"}},
        "data": {"name": "us20", "periods_per_year": 252.0, "validation_periods": len(
            maker.timestamps)},
    }  # fmt: skip
    (folder / "run.json").write_text(json.dumps(run), encoding="utf-8")
