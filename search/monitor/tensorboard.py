"""TensorBoard events of every trial: its metrics by epoch, and its hyperparameters."""

import math
import socket
import struct
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tensorboardX.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue]
from tensorboardX.proto.summary_pb2 import Summary  # pyright: ignore[reportAttributeAccessIssue]
from tensorboardX.record_writer import masked_crc32c
from tensorboardX.summary import hparams

from trainable.config import TrialConfig, config_of, to_params
from trainable.io.atomic import not_written
from trainable.report import Report

VERSION = "brain.Event:2"  # of the file format
LED_TO = {"sharpe": 0, "val_loss": 0}  # metrics listed beside the hyperparameters


class EventFile:
    """A trial's event file. An epoch is one event, written at once: no thread and no queue.

    Args:
        folder: of the trial; made if needed. Each object writes a file of its own there.
        config: whose hyperparameters begin the file.
    """

    def __init__(self, folder: Path, config: TrialConfig) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        seconds, rest = divmod(time.time_ns(), 10**9)
        name = f"events.out.tfevents.{seconds}.{socket.gethostname()}.{rest:09d}"
        self._path = folder / name
        self._path.touch(exist_ok=False)
        params = {key: value for key, value in to_params(config).items() if value is not None}
        chosen = [value for summary in hparams(params, LED_TO) for value in summary.value]
        now = time.time()
        begin = Event(wall_time=now, file_version=VERSION)
        self.append(begin, Event(wall_time=now, summary=Summary(value=chosen)))

    def write(self, report: Report) -> None:
        """Writes one epoch; undefined metrics are left out."""
        summary = Summary(value=_scalars(report.values))
        self.append(Event(wall_time=time.time(), step=report.epoch, summary=summary))

    def append(self, *events: Event) -> None:
        """Writes events at the end, at once; raises OSError."""
        # Opened anew each time: a search has more trials in flight than a process may open files.
        with self._path.open("ab", buffering=0) as file:
            file.write(b"".join(_record(event.SerializeToString()) for event in events))


class Events:
    """The event files of a search.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[int, EventFile] = {}

    def on_report(self, report: Report, params: Mapping[str, Any]) -> None:
        """Writes one epoch to its trial's file, which begins with the trial's parameters.

        Raises:
            UserError: the file cannot be written.
        """
        number = report.number
        folder = self._folder / "trials" / str(number)
        try:
            if number not in self._files:
                self._files[number] = EventFile(folder, config_of(params))
            self._files[number].write(report)
        except OSError as error:
            raise not_written(folder, error) from error
        if report.stop is not None:
            del self._files[number]


def _scalars(values: Mapping[str, float | None]) -> list[Summary.Value]:
    return [
        Summary.Value(tag=name, simple_value=value)
        for name, value in values.items()
        if value is not None and math.isfinite(value)
    ]


def _record(data: bytes) -> bytes:
    """A TFRecord: the length, its checksum, the data, their checksum."""
    length = struct.pack("<Q", len(data))
    ends = (struct.pack("<I", masked_crc32c(part)) for part in (length, data))
    return length + next(ends) + data + next(ends)
