"""python -m benchmarks.step: model-steps per second of every way to train, on one thread.

Two usual ways (a DataLoader; batches by index from tensors in memory), each with autograd, against
the executors `solo`, `serial` and `cohort`, or `vmapped` for networks without a form by hand; all
train the same networks on the same rows. The usual networks over windows are torch's own layers,
which answer the same with the same weights (`benchmarks/step/usual.py`). It also says what a
search would pick: the cohort size that its calibration finds.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import machine
from benchmarks.memory import peak
from benchmarks.step.networks import params_of
from benchmarks.step.usual import by_index, from_loader, usual
from trainable.cli.commands import status_of
from trainable.cli.errors import UserError
from trainable.config import TrialConfig, from_params, input_shape
from trainable.data.dataset.build import build_dataset
from trainable.data.dataset.dataset import Dataset
from trainable.data.dataset.windows import Windows, make_windows
from trainable.data.settings import DataSettings, SyntheticSettings
from trainable.data.synthetic.market import generate
from trainable.executors import why_not_fused
from trainable.executors.batched import by_hand
from trainable.executors.calibration import best_size
from trainable.models import count_parameters
from trainable.models.mlp import hidden_dims
from trainable.training.loop import Training
from trainable.training.member import MemberStart

SHAPES = (
    "64-32-16:32", "512-256-128-64:64", "tcn16x3w20:32", "gru16x1w20:32", "lstm16x1w20:32",
    "transformer32x1w20:8", "transformer64x2w30:8", "transformer256x6w60:4", "graph32x2w20:256",
)  # fmt: skip
LARGE = 2**20  # parameters from which a cohort of more than two is not measured on a CPU
MEMBERS = (1, 2, 8, 32, 128)
ON_A_GPU = (256, 1024)
SYMBOLS, DATES = 20, 1000
TOGETHER = ("cohort", "vmapped")
WARM_UP = 3  # looks whose time is not counted

Steps = Callable[[int], int]  # trains up to so many steps; returns how many model-steps that were


@dataclass(frozen=True)
class Shape:
    """Widths and batch size, typed as `64-32-16:32`; or a network's name and batch size.

    Attributes:
        hidden: the widths, or the network as typed.
        batch: rows of a step.
        network: parameters of a network over windows; none: a perceptron.
    """

    hidden: str
    batch: int
    network: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def of(cls, text: str) -> "Shape":
        """Reads a shape; raises `UserError` where it is none."""
        hidden, _, batch = text.partition(":")
        network = params_of(hidden)
        if network is None:
            hidden_dims(hidden)
        if not (batch.isascii() and batch.isdigit() and int(batch) > 1):
            raise UserError(f"--shapes {text}: write widths, a colon and the batch: 64-32-16:32")
        return cls(hidden, int(batch), tuple((network or {}).items()))

    def config(self, seed: int) -> TrialConfig:
        """Returns a member's configuration; members differ as those of a search do."""
        draw = np.random.default_rng(seed)
        return from_params(
            {
                **(dict(self.network) or {"model/hidden_dims": self.hidden}),
                "model/dropout": float(draw.uniform(0.1, 0.4)),
                "optimizer/lr": float(10 ** draw.uniform(-5, -3)),
                "optimizer/clip": float(draw.uniform(0.5, 5)),
                "loss/name": "huber",
                "schedule/warmup_steps": 2000,
                "train/batch_size": self.batch,
                "train/seed": seed,
            }
        )


def main(argv: Sequence[str]) -> int:
    """Measures, prints a table and writes the JSON file."""
    args = _parser().parse_args(argv)
    if args.device != "cpu" and not torch.cuda.is_available():
        raise UserError(f"--device {args.device}: torch finds no GPU here; --device cpu works")
    shapes = [Shape.of(text) for text in args.shapes.split(",")]
    torch.set_num_threads(1)
    dataset = generated(args.dates, max(shape.config(0).data.window for shape in shapes))
    rows: list[dict[str, Any]] = []
    picked: dict[str, int] = {}
    out = args.out or machine.RESULTS / f"step_{args.device}.json"
    record, begun = machine.Record(out, "benchmarks.step", argv), time.perf_counter()
    for shape in shapes:
        rows += measure(shape, dataset, args.members, args.seconds, args.repeats, args.device)
        picked[f"{shape.hidden}:{shape.batch}"] = pick(shape, dataset, args.members, args.device)
        print("\n".join(lines_of(rows, shape)), flush=True)
        print(f"  a search picks {picked[f'{shape.hidden}:{shape.batch}']}", flush=True)
    result = {
        "device": args.device,
        "threads": 1,
        "repeats": args.repeats,
        "seconds": round(time.perf_counter() - begun, 1),
        "others_cpu_seconds": record.others(),
        "steps": rows,
        "picked": picked,
        "peak_mib": round(peak() / 2**20, 1),  # of the process, all cohorts together
    }
    record.save(result)
    return 0


def measure(
    shape: Shape,
    dataset: Dataset,
    members: Sequence[int],
    seconds: float,
    repeats: int,
    device: str,
) -> list[dict[str, Any]]:
    """Returns the rows of one shape: each way's model-steps per second, median and range.

    Args:
        shape: of the network and the batch.
        dataset: to train on.
        members: sizes of cohorts.
        seconds: of one measurement.
        repeats: measurements of each way; the ways take turns, so that a slow spell hits all.
        device: `cpu` or `cuda`.
    """
    config = shape.config(0)
    windows = make_windows(dataset, config.data, device)
    ways: dict[tuple[str, int], Steps] = {
        ("DataLoader + autograd", 1): usual(config, dataset, windows, from_loader),
        ("tensors + autograd", 1): usual(config, dataset, windows, by_index),
        ("solo", 1): _ours(shape, dataset, windows, 1, "solo", device),
    }
    inputs = input_shape(config, windows.groups)
    if why_not_fused(config, inputs) is None:
        ways["serial", 1] = _ours(shape, dataset, windows, 1, "serial", device)
        large = device == "cpu" and count_parameters(config.model, inputs) > LARGE
        together = "cohort" if by_hand(config, inputs) else "vmapped"
        for k in members:
            if k <= 2 or not large:
                ways[together, k] = _ours(shape, dataset, windows, k, together, device)
    speeds: dict[tuple[str, int], list[float]] = {way: [] for way in ways}
    for steps in ways.values():
        steps(WARM_UP)
    for _ in range(repeats):
        for way, steps in ways.items():
            speeds[way].append(_speed(steps, seconds, device))
    loader = statistics.median(speeds["DataLoader + autograd", 1])
    return [
        {
            "hidden": shape.hidden,
            "batch": shape.batch,
            "way": way,
            "members": k,
            "model_steps_per_s": round(statistics.median(each), 1),
            "low": round(min(each), 1),
            "high": round(max(each), 1),
            "us_per_model_step": round(1e6 / statistics.median(each), 1),
            "against_loader": round(statistics.median(each) / loader, 2),
        }
        for (way, k), each in speeds.items()
    ]


def pick(shape: Shape, dataset: Dataset, members: Sequence[int], device: str) -> int:
    """Returns the cohort size that calibration finds best, up to the largest measured."""
    config = shape.config(0)
    return best_size(config, make_windows(dataset, config.data, device), device, max(members))


def generated(dates: int, max_window: int = 1) -> Dataset:
    """Returns a generated market of 20 symbols and 30 features."""
    settings = SyntheticSettings(symbols=SYMBOLS, bars=dates)
    return build_dataset(generate(settings), DataSettings(), max_window)


def lines_of(rows: Sequence[dict[str, Any]], shape: Shape) -> list[str]:
    """Returns the printed table of one shape."""
    lines = [f"{shape.hidden}, batch {shape.batch}".ljust(32) + f"{'steps/s':>12}{'µs':>9}{'×':>8}"]
    for row in rows:
        if (row["hidden"], row["batch"]) == (shape.hidden, shape.batch):
            name = f"{row['way']} {row['members']}" if row["way"] in TOGETHER else row["way"]
            lines.append(
                f"  {name:<30}{row['model_steps_per_s']:>12,.0f}"
                f"{row['us_per_model_step']:>9.0f}{row['against_loader']:>8.1f}"
            )
    return lines


def _speed(steps: Steps, seconds: float, device: str) -> float:
    done, begun = 0, time.perf_counter()
    while (passed := time.perf_counter() - begun) < seconds:
        done += steps(8)
        if device != "cpu":
            torch.cuda.synchronize()
    return done / passed


def _ours(
    shape: Shape, dataset: Dataset, windows: Windows, members: int, executor: str, device: str
) -> Steps:
    starts = [MemberStart(seed, shape.config(seed)) for seed in range(members)]
    training = Training(starts, dataset, executor, device, windows=windows)
    return lambda steps: run_steps(training, steps) * members


def run_steps(training: Training, steps: int) -> int:
    """Trains up to so many steps of an epoch, dropping their reports; returns how many."""
    if training.members and training.i in (0, training.batches):
        training._begin_epoch()
        training.i = 0
    before = training.i
    while training.members and training.i < min(training.batches, before + steps):
        training._step()
    return max(1, training.i - before)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.step", description=__doc__)
    gpu = torch.cuda.is_available()
    known = ",".join(map(str, (*MEMBERS, *ON_A_GPU) if gpu else MEMBERS))
    parser.add_argument(
        "--members", type=machine.numbers, default=known, help=f"cohort sizes ({known})"
    )
    parser.add_argument(
        "--shapes", default=",".join(SHAPES), help="WIDTHS:BATCH or NETWORK:BATCH, by commas"
    )
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda" if gpu else "cpu")
    parser.add_argument("--seconds", type=float, default=2.0, help="of one measurement")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--dates", type=int, default=DATES, help="of the generated table")
    parser.add_argument("--out", type=Path, help="JSON file; unset: in benchmarks/results")
    return parser


if __name__ == "__main__":
    sys.exit(status_of(lambda: main(sys.argv[1:])))
