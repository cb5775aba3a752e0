"""Learning curves whose truth is known: made with cohorts, kept as Parquet, read by the replay.

A folder for each market holds `configs.parquet` (a row a configuration), `curves.parquet` (a row a
seed and epoch) and `returns.parquet` (a row a configuration and epoch of its first seed).
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from benchmarks.truth.markets import WINDOW, Truth
from trainable.config import TrialConfig, config_of, shape_key
from trainable.data.dataset.dataset import Dataset
from trainable.data.dataset.windows import make_windows
from trainable.executors.base import rows_at_once
from trainable.report import Report
from trainable.training.loop import Training
from trainable.training.member import MemberStart

EPOCHS, SEEDS = 50, 8
MEMBERS = 64  # of one cohort: the seeds of eight configurations
SEEN = ("val_loss", "sharpe", "ic", "rank_ic")  # what a search sees of an epoch
METRICS = (*SEEN, "true_sharpe", "true_ic")
LEVELS = 40  # steps of a day's change in one standard deviation


def space(trial: optuna.Trial) -> dict[str, Any]:
    """Suggests small networks and rates from too slow to too fast for fifty short epochs."""
    trial.suggest_categorical("model/hidden_dims", ["16", "32-16", "64-32"])
    trial.suggest_float("model/dropout", 0.0, 0.5)
    trial.suggest_float("optimizer/lr", 2e-5, 2e-2, log=True)
    trial.suggest_float("optimizer/weight_decay", 1e-4, 1.0, log=True)
    trial.suggest_float("optimizer/clip", 0.3, 10.0, log=True)
    trial.suggest_float("optimizer/beta1", 0.8, 0.95)
    trial.suggest_int("schedule/warmup_steps", 50, 300)
    constants = {"model/name": "mlp", "optimizer/name": "adamw", "schedule/name": "warmup"}
    constants |= {"loss/name": "huber", "data/window": WINDOW}
    return constants | {"train/batch_size": 64, "train/patience": 0}


@dataclass(frozen=True)
class Curves:
    """The curves of C configurations of one market.

    Attributes:
        market: its name.
        params: of each configuration, as a space suggests and returns them.
        values: [C, S, E] float32 by metric; NaN where undefined, or after a seed's training ended.
        stops: by (configuration, seed): the reason why its training ended before the last epoch,
            and the epoch.
        returns: [C, E, D] float32, daily net returns on validation of the first seed; NaN where
            there was no position.
        periods: [D] datetime64, the days of the returns.
    """

    market: str
    params: Sequence[dict[str, Any]]
    values: dict[str, np.ndarray]
    stops: dict[tuple[int, int], tuple[str, int]]
    returns: np.ndarray
    periods: np.ndarray


def draw_configurations(count: int, seed: int) -> list[dict[str, Any]]:
    """Returns so many random configurations of `space`."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    drawn = []
    for _ in range(count):
        trial = study.ask()
        constants = space(trial)
        drawn.append({**trial.params, **constants})
    return drawn


def train(
    dataset: Dataset,
    truth: Truth,
    market: str,
    params: Sequence[dict[str, Any]],
    seeds: int = SEEDS,
    epochs: int = EPOCHS,
) -> Curves:
    """Trains each configuration with every seed, and measures after each epoch what is true."""
    # One epoch more than is kept: nobody leaves the cohort before its last epoch is measured.
    length = {"train/epochs": epochs + 1}
    starts = [
        MemberStart(c * seeds + s, config_of({**chosen, **length, "train/seed": 1000 * c + s}))
        for c, chosen in enumerate(params)
        for s in range(seeds)
    ]
    shape = len(params) * seeds, epochs
    values = {name: np.full(shape, np.nan, np.float32) for name in METRICS}
    days = np.unique(dataset.timestamps[dataset.time[dataset.valid_rows]])
    returns = np.full((len(params), epochs, len(days)), np.nan, np.float32)
    stops: dict[tuple[int, int], tuple[str, int]] = {}
    for cohort in _cohorts(starts):
        for report, sharpe, ic in _trained(cohort, dataset, truth, epochs):
            number, e = report.number, report.epoch - 1
            if report.stop is not None:
                stops[divmod(number, seeds)] = report.stop.reason, report.epoch
            for name in SEEN:
                seen = report.values.get(name)
                values[name][number, e] = np.nan if seen is None else seen
            values["true_sharpe"][number, e], values["true_ic"][number, e] = sharpe, ic
            if number % seeds == 0 and report.net_returns is not None:
                returns[number // seeds, e] = report.net_returns[: len(days)]
    curves = {name: array.reshape(len(params), seeds, epochs) for name, array in values.items()}
    return Curves(market, params, curves, stops, returns, days)


def _cohorts(starts: Sequence[MemberStart]) -> Iterator[list[MemberStart]]:
    by_shape: dict[Any, list[MemberStart]] = {}
    for start in starts:
        by_shape.setdefault(shape_key(start.config), []).append(start)
    for alike in by_shape.values():
        for begin in range(0, len(alike), MEMBERS):
            yield alike[begin : begin + MEMBERS]


def _trained(
    starts: Sequence[MemberStart], dataset: Dataset, truth: Truth, epochs: int
) -> Iterator[tuple[Report, float, float]]:
    """Yields each report of a cohort with the member's true Sharpe ratio and true IC."""
    config: TrialConfig = starts[0].config
    windows = make_windows(dataset, config.data)
    training = Training(starts, dataset, windows=windows)
    later = torch.from_numpy(dataset.rows_of("test").copy())
    while training.live:
        reports = training.advance()
        found = dict.fromkeys([r.number for r in reports], (np.nan, np.nan))
        if training.live and training.at_epoch_end():
            parts = later.split(rows_at_once(windows))
            each = [training.executor.predict(windows.at(rows)) for rows in parts]
            predictions = torch.cat(each, dim=1).numpy()
            found |= dict(zip(training.live, zip(*truth.of(predictions), strict=True), strict=True))
        for report in reports:
            yield report, *found[report.number]
        if all(report.epoch >= epochs for report in reports if report.stop is None):
            training.retire([r.number for r in reports if r.epoch >= epochs])


def write(curves: Curves, folder: Path) -> None:
    """Writes the three tables of a market into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    C, S, E = curves.values["sharpe"].shape
    columns: dict[str, Any] = {
        "config": np.repeat(np.arange(C, dtype=np.int16), S * E),
        "seed": np.tile(np.repeat(np.arange(S, dtype=np.int8), E), C),
        "epoch": np.tile(np.arange(1, E + 1, dtype=np.int8), C * S),
    }
    columns |= {name: array.ravel() for name, array in curves.values.items()}
    _write(pa.table(columns), folder / "curves.parquet")
    steps, scale = compress(curves.returns)
    days = pa.array(curves.periods)
    data = [row.tobytes() for row in steps.reshape(C * E, -1)]
    table = pa.table(
        {
            "config": np.repeat(np.arange(C, dtype=np.int16), E),
            "epoch": np.tile(np.arange(1, E + 1, dtype=np.int8), C),
            "scale": scale.ravel(),
            "steps": pa.array(data, pa.binary(steps.shape[-1])),
        }
    )
    _write(table, folder / "returns.parquet")
    stops = [[[s, *stop] for (c, s), stop in curves.stops.items() if c == k] for k in range(C)]
    table = pa.table(
        {
            "config": np.arange(C, dtype=np.int16),
            "params": [json.dumps(each) for each in curves.params],
            "stops": [json.dumps(each) for each in stops],
        }
    )
    _write(table.replace_schema_metadata({"market": curves.market}), folder / "configs.parquet")
    _write(pa.table({"day": days}), folder / "days.parquet")


def read(folder: Path) -> Curves:
    """Reads what `write` wrote."""
    configs = pq.read_table(folder / "configs.parquet")
    curves = pq.read_table(folder / "curves.parquet")
    coded = pq.read_table(folder / "returns.parquet")
    days = pq.read_table(folder / "days.parquet").column("day").to_numpy()
    C, E = len(configs), int(curves.column("epoch").to_numpy().max())
    values = {n: curves.column(n).to_numpy().reshape(C, -1, E) for n in METRICS}
    steps = np.frombuffer(b"".join(coded.column("steps").to_pylist()), np.int8)
    scale = coded.column("scale").to_numpy().reshape(C, E)
    stops = {
        (c, s): (reason, epoch)
        for c, each in enumerate(configs.column("stops").to_pylist())
        for s, reason, epoch in json.loads(each)
    }
    return Curves(
        (configs.schema.metadata or {})[b"market"].decode(),
        [json.loads(each) for each in configs.column("params").to_pylist()],
        values,
        stops,
        expand(steps.reshape(C, E, len(days)), scale),
        days,
    )


def compress(returns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the change of each day's return from epoch to epoch in whole steps, and their size.

    Two epochs hold nearly the same positions, so their difference is small and coded finely: what a
    paired test sees. Errors do not add up: each change is taken from what was coded before.

    Args:
        returns: [C, E, D]; NaN where there was no position.

    Returns:
        [C, E, D] int8, and the size of a step [C, E] float32, NaN where there was no position.
    """
    C, E, D = returns.shape
    steps, scale = np.zeros((C, E, D), np.int8), np.full((C, E), np.nan, np.float32)
    known = np.zeros((C, D))
    for e in range(E):
        there = np.asarray(np.isfinite(returns[:, e]).all(axis=-1))
        change = np.where(there[:, None], returns[:, e] - known, 0.0)
        largest = np.abs(change).max(axis=-1)
        size = np.maximum(change.std(axis=-1) / LEVELS, largest / 127).astype(np.float32)
        size = np.where(size > 0, size, np.float32(1e-12))
        steps[:, e] = np.rint(change / size[:, None])
        known += np.where(there[:, None], steps[:, e] * size[:, None].astype(np.float64), 0.0)
        scale[there, e] = size[there]
    return steps, scale


def expand(steps: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Returns the returns [C, E, D] float32 of `compress`."""
    size = np.nan_to_num(scale.astype(np.float64))[..., None]
    returns = np.cumsum(steps * size, axis=1)
    return np.where(np.isfinite(scale)[..., None], returns, np.nan).astype(np.float32)


def _write(table: pa.Table, path: Path) -> None:
    pq.write_table(table, path, compression="zstd", compression_level=9)
