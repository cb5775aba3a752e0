"""One try of each part of a person's own, before anything starts: what fails is told at once."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch

from trainable.cli.errors import UserError, located
from trainable.config import TrialConfig, input_shape
from trainable.data.dataset.dataset import Dataset
from trainable.data.features.table import FEATURES, is_possible
from trainable.data.features.truncation import first_changed
from trainable.data.ingest.timestamps import show_time
from trainable.data.market import Market
from trainable.executors.calibration import random_days
from trainable.executors.solo import SoloExecutor
from trainable.executors.training_loss import training_loss
from trainable.losses import LOSSES
from trainable.metrics.further import METRICS
from trainable.models import InputShape
from trainable.parts.conformance.losses import DAYS, ROWS, SYMBOLS, LossSubject, wrong_shape
from trainable.parts.conformance.networks import CUT_OFF, wrong_answer
from trainable.parts.conformance.suite import check_entry
from trainable.parts.faults import advised, told
from trainable.parts.files import PartsFile
from trainable.parts.loaded import loaded_files
from trainable.parts.registration import entries_of
from trainable.schedules import SCHEDULES

STEPS = 10  # of a schedule

Part = tuple[str, str]  # what one entry is called, and its name
Tried = tuple[tuple[Part, ...], InputShape | None]


def try_parts(configs: Sequence[TrialConfig], dataset: Dataset) -> None:
    """Takes one step, on random rows, of each pair of model and loss that has a part of one's own.

    Optimizers, schedules and metrics of one's own are tried as well, each once.

    Args:
        configs: of the trials that may be trained, each valid.
        dataset: that they train on.

    Raises:
        UserError: a part fails, or answers in another shape than training takes.
    """
    own = {(table.one, name): file for file in loaded_files() for table, name in entries_of(file)}
    tried: set[Tried] = set()
    for config in configs:
        shape = input_shape(config, dataset.groups_of(config.data.features))
        for tries in _tries(config, shape):
            files = [own[part] for part in tries[0] if part in own]
            if not files or tries in tried:
                continue
            tried.add(tries)
            what = " with ".join(f"{one} {name}" for one, name in tries[0])
            _try(config, shape, what, files[0])
    bars = np.arange(ROWS) // SYMBOLS
    for (one, name), file in own.items():
        if one == "metric":
            predictions, labels = np.random.default_rng(0).standard_normal((2, ROWS))
            with _telling(f"metric {name}", file):
                METRICS[name].function(predictions, labels, bars)


def try_features(market: Market) -> None:
    """Computes features of one's own again on data that are cut off at some dates.

    Args:
        market: of the search.

    Raises:
        UserError: a value changes where later bars are cut off, so that it is made of them.
    """
    for file in loaded_files():
        own = [name for table, name in entries_of(file) if table.one == "feature"]
        possible = [name for name in own if is_possible(FEATURES[name], market)]
        changed = first_changed(market, possible)
        if changed is None:
            continue
        where = f"its value of {show_time(changed.first)} for {changed.symbol}"
        cut = f"the bars after {show_time(changed.cut)} are cut off"
        what = f"looks ahead: {where} changes where {cut}"
        if changed.random:
            what = f"gives another value for the same bars: {where}; does it draw random numbers?"
        said = f"{file.shown}: feature {changed.feature} {what}"
        raise advised(UserError(said), file)


def warnings_of(files: Sequence[PartsFile]) -> list[str]:
    """Returns what quick checks find wrong with parts that can be trained."""
    return [
        str(advised(UserError(f"{file.shown}: {finding.part}: {finding.said}"), file))
        for file in files
        for table, name in entries_of(file)
        for finding in check_entry(table, name, file.shown, quick=True)
        if finding.is_fault
    ]


def _tries(config: TrialConfig, shape: InputShape) -> Iterator[Tried]:
    """Yields what is tried together of a configuration, with the shape that matters for it."""
    loss = LOSSES[config.loss.name]
    parts = [name for name, one in LOSSES.items() if one in loss.parts(config.loss)]
    names = dict.fromkeys([config.loss.name, *parts])
    yield (("model", config.model.name), *(("loss", name) for name in names)), shape
    yield (("optimizer", config.optimizer.name),), None
    yield (("schedule", config.schedule.name),), None


def _try(config: TrialConfig, shape: InputShape, what: str, file: PartsFile) -> None:
    """Takes one step of a configuration; raises `UserError` where it fails."""
    cpu, generator = torch.device("cpu"), torch.Generator().manual_seed(0)
    x = torch.randn(1, ROWS, shape.window, shape.features, generator=generator)
    loss, where = LOSSES[config.loss.name], f"{file.shown}: {what}"
    subject = LossSubject(loss, config.loss, torch.float32)
    with torch.random.fork_rng(devices=[]):
        days = random_days(config, (1, DAYS, SYMBOLS), x)
        with _telling(what, file):
            _refuse(wrong_shape(subject), f"{file.shown}: loss {config.loss.name}")
            executor = SoloExecutor([config], shape, cpu, torch.float32)
            targets = subject.targets().members(0)
            more = () if days is None else (days.member(0),)
            for training in (False, True):
                answer = executor.model.train(training)(x[0].clone(), *more)
                one = answer[0] if training and executor.separate else answer
                _refuse(wrong_answer(one, ROWS, shape), where)
            _refuse(None if answer.requires_grad else CUT_OFF, where)
            result = training_loss(
                loss, answer.detach().unsqueeze(0), targets, executor.columns, executor.separate
            )
            answer.backward(result.slope[0])
        with _telling(f"optimizer {config.optimizer.name}", file):
            executor.plan(np.full((1, 1), config.optimizer.lr))
            executor.step(0, x, targets, days)
            executor.snapshot()
        with _telling(f"schedule {config.schedule.name}", file):
            SCHEDULES[config.schedule.name].share(config.schedule, np.arange(1, STEPS + 1), STEPS)


def _refuse(wrong: str | None, where: str) -> None:
    if wrong is not None:
        raise UserError(f"{where}: {wrong}")


@contextmanager
def _telling(what: str, file: PartsFile) -> Iterator[None]:
    """Has an exception of the block told in one line, with the command that says more."""
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except UserError as error:
        said = str(error) if file.shown in str(error) else f"{file.shown}: {what}: {error}"
        raise advised(UserError(said), file) from error
    except Exception as error:
        raise told(error) or advised(located(file.shown, None, error, what), file) from error
