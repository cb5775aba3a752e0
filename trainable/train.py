"""Training as a generator of reports, without Ray; and from the shell for one configuration.

python -m trainable.train config.json data=us20 epochs=3 [--json]
"""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from trainable.cli.answers import answering
from trainable.cli.commands import process_status
from trainable.cli.errors import UserError, unknown
from trainable.cli.options import (
    asks_for_help,
    describe,
    parse,
    print_settings,
    print_usage,
)
from trainable.cli.paths import PathText, expand_home
from trainable.config import TrialConfig, from_params, input_shape
from trainable.data.dataset.build import build_dataset
from trainable.data.dataset.dataset import Dataset
from trainable.data.dataset.windows import make_windows
from trainable.data.ingest.table import cache_if_usable
from trainable.data.settings import DataSettings, expand_source
from trainable.data.sources import load_market
from trainable.executors import EXECUTORS, executor_for, why_solo
from trainable.executors.calibration import best_size
from trainable.io.json_file import read_json
from trainable.parts.files import read_files
from trainable.parts.first_step import try_features, try_parts, warnings_of
from trainable.parts.loaded import loaded_files
from trainable.parts.registration import registered
from trainable.report import Report
from trainable.training.loop import Training
from trainable.training.member import MemberStart
from trainable.validation import check, check_horizons, validate


def train(
    configs: TrialConfig | Sequence[TrialConfig],
    dataset: Dataset,
    executor: str = "auto",
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
    calibrated: bool = False,
) -> Iterator[Report]:
    """Trains one configuration, or several of one shape as a cohort, and yields their reports.

    Args:
        configs: numbered 0, 1, … in their order.
        dataset: from `build_dataset`.
        executor: `cohort`, `vmapped`, `serial`, `solo` or `auto`; several configurations run one
            after the other as `solo`.
        device: `cpu`, `cuda`, `cuda:1` …
        dtype: float32 or float64.
        calibrated: several train in cohorts of the size that is found best, one after another, as
            in a search, and not all at once. A member's numbers do not depend on its cohort.

    Yields:
        A report a member and epoch; the last one of a member has `stop`.

    Raises:
        UserError: a configuration does not fit the data, or the executor.
    """
    several = [configs] if isinstance(configs, TrialConfig) else list(configs)
    for config in several:
        check(config, dataset)
    starts = [MemberStart(number, config) for number, config in enumerate(several)]
    windows = make_windows(dataset, several[0].data, device, dtype)
    shape = input_shape(several[0], windows.groups)
    name = executor_for(several[0], shape, device) if executor == "auto" else executor
    if name != "solo" and (why := why_solo(several[0], shape)):
        raise UserError(f"executor={name}: {why}; executor=solo works")
    size = 1 if name == "solo" else len(starts)
    if calibrated and size > 1:
        size = best_size(several[0], windows, device, size)
    for begin in range(0, len(starts), size):
        cohort = starts[begin : begin + size]
        training = Training(cohort, dataset, name, device, dtype, windows)
        while training.live:
            yield from training.advance()


USAGE = """usage: python -m trainable.train config.json data=NAME [key=value …] [--json]

Trains the configuration of a JSON file of GROUP/FIELD names, and prints its epochs.
Keys of the data are those of `python -m search.run --help data`."""


@dataclass(frozen=True)
class Command:
    """What `python -m trainable.train config.json` takes besides the file."""

    data: DataSettings = field(default_factory=DataSettings)  # the market, as in a search
    epochs: int = 0  # overrides the file's train/epochs; 0: as in the file
    device: str = "auto"  # cpu, cuda, or auto: a GPU if there is one
    executor: str = "auto"  # cohort, vmapped, serial, solo or auto
    parts: tuple[PathText, ...] = ()  # files of models, losses, features … of one's own


def main(argv: Sequence[str]) -> int:
    """Trains the configuration of a JSON file (`GROUP/FIELD` names) and prints its epochs."""
    if asks_for_help(argv):
        print_usage(USAGE)
        print()
        rows = describe(Command)
        print_settings([row for row in rows if not row.key.startswith("data.")])
        return 0
    with answering(argv) as (words, answer):
        if not words or "=" in words[0]:
            raise UserError("name a configuration: python -m trainable.train config.json data=us20")
        command = parse(Command, expand_source(words[1:]))
        with registered(read_files(command.parts)):
            answer.value = _train(read_config(Path(expand_home(words[0]))), command)
    return 0


def _train(config: TrialConfig, command: Command) -> dict[str, Any]:
    """Trains a configuration and prints its epochs; returns them by name, for JSON."""
    device = chosen_device(command.device)
    if command.executor not in (names := ("auto", *EXECUTORS)):
        raise unknown("executor", command.executor, names)
    if command.epochs:
        config = replace(config, train=replace(config.train, epochs=command.epochs))
    with _of_a_file():
        validate(config)
    with cache_if_usable():
        market = load_market(command.data)
        try_features(market)
        dataset = build_dataset(market, command.data, max_window=config.data.window)
        with _of_a_file():
            check(config, dataset)
            check_horizons([config], dataset)
        try_parts([config], dataset)
    for line in warnings_of(loaded_files()):
        print(f"warning: {line}")
    print(f"{'epoch':>5} {'steps':>8} {'train loss':>11} {'val loss':>11} {'Sharpe':>8} {'IC':>8}")
    found: dict[str, Any] = {"epochs": [], "stop": None}
    for report in train(config, dataset, command.executor, device):
        of_time = {"epoch": report.epoch, "steps": report.steps, "seconds": report.seconds}
        found["epochs"].append({**of_time, **report.values})
        found["stop"] = report.stop
        cells = [_cell(report.values.get(name)) for name in ("train_loss", "val_loss")]
        ratios = [_cell(report.values.get(name), 3) for name in ("sharpe", "ic")]
        print(
            f"{report.epoch:>5} {report.steps:>8} {cells[0]:>11} {cells[1]:>11} "
            f"{ratios[0]:>8} {ratios[1]:>8}",
            flush=True,
        )
        if report.stop is not None:
            print(f"{report.stop.reason}: {json.dumps(report.stop.evidence)}")
    return found


@contextmanager
def _of_a_file() -> Iterator[None]:
    """Has an error of the block advise what a file can say: it knows no `fix.`."""
    try:
        yield
    except UserError as error:
        raise UserError(str(error).replace("fix.", "")) from error


def chosen_device(name: str) -> str:
    """Returns the device of this name, `auto` resolved; raises UserError where there is none."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    there = ["cpu", *(["cuda"] if count else []), *(f"cuda:{index}" for index in range(count))]
    if name == "auto":
        return "cuda" if count else "cpu"
    if name not in there:
        raise unknown("device", name, ["auto", *there])
    return name


def read_config(path: Path) -> TrialConfig:
    """Reads a configuration of `GROUP/FIELD` names from a JSON file."""
    params = read_json(path, str(path), " does not exist; name a JSON file of GROUP/FIELD names")
    if not isinstance(params, dict):
        raise UserError(f'{path}: expected an object such as {{"optimizer/lr": 0.0001}}')
    params = params.get("params", params)
    if not isinstance(params, dict):
        raise UserError(f"{path}: params must be an object of GROUP/FIELD names")
    return from_params(params)


def _cell(value: float | None, digits: int = 6) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


if __name__ == "__main__":
    sys.exit(process_status(lambda: main(sys.argv[1:])))
