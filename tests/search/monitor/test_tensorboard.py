"""Event files: what TensorBoard reads is what was reported, record by record."""

import struct
import threading
from pathlib import Path

from tensorboardX.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue]
from tensorboardX.proto.plugin_hparams_pb2 import (  # pyright: ignore[reportMissingImports]
    HParamsPluginData,  # pyright: ignore[reportAttributeAccessIssue]
)
from tensorboardX.record_writer import RecordWriter, masked_crc32c

from search.monitor.tensorboard import EventFile
from tests.fixtures.trainings import config
from trainable.report import Report


def records(folder: Path) -> list[bytes]:
    """Reads the records of a folder's event files, checking length and checksums as readers do."""
    found = []
    for file in sorted(folder.glob("*tfevents*")):
        content, at = file.read_bytes(), 0
        while at < len(content):
            length, check = struct.unpack_from("<QI", content, at)
            assert check == masked_crc32c(content[at : at + 8])
            data = content[at + 12 : at + 12 + length]
            assert struct.unpack_from("<I", content, at + 12 + length)[0] == masked_crc32c(data)
            found.append(data)
            at += length + 16
    return found


def events(folder: Path) -> list[Event]:
    return [Event.FromString(data) for data in records(folder)]


def test_an_epoch_is_one_event_with_all_that_is_defined(tmp_path: Path) -> None:
    file = EventFile(tmp_path / "new" / "7", config())
    file.write(Report(7, 1, 20, {"sharpe": 0.5, "val_loss": None, "grad_norm.hidden.0": 3.0}))
    file.write(Report(7, 2, 40, {"sharpe": None, "val_loss": 0.25}))
    written = events(tmp_path / "new" / "7")
    assert written[0].file_version == "brain.Event:2"
    assert [event.step for event in written[2:]] == [1, 2]
    assert all(event.wall_time > 0 for event in written)
    values = [{v.tag: v.simple_value for v in event.summary.value} for event in written[2:]]
    assert values == [{"sharpe": 0.5, "grad_norm.hidden.0": 3.0}, {"val_loss": 0.25}]


def test_hyperparameters_begin_the_file(tmp_path: Path) -> None:
    EventFile(tmp_path, config(optimizer__lr=0.125))
    _, chosen = events(tmp_path)
    tags = [value.tag for value in chosen.summary.value]
    assert tags == [
        "_hparams_/experiment",
        "_hparams_/session_start_info",
        "_hparams_/session_end_info",
    ]
    experiment, start, _ = (
        HParamsPluginData.FromString(value.metadata.plugin_data.content)
        for value in chosen.summary.value
    )
    assert {info.name.tag for info in experiment.experiment.metric_infos} == {"sharpe", "val_loss"}
    hparams = start.session_start_info.hparams
    assert hparams["optimizer/lr"].number_value == 0.125
    assert hparams["model/hidden_dims"].string_value == "8-4"


def test_records_are_those_of_the_library(tmp_path: Path) -> None:
    file = EventFile(tmp_path, config())
    file.write(Report(0, 1, 20, {"val_loss": 1.5}))
    (ours,) = tmp_path.iterdir()
    library = RecordWriter(str(tmp_path / "library"))
    for data in records(tmp_path):
        library.write(data)
    library.close()
    assert (tmp_path / "library").read_bytes() == ours.read_bytes()


def test_a_trial_that_goes_on_does_not_overwrite_what_it_wrote(tmp_path: Path) -> None:
    before = threading.active_count()
    for epoch in (1, 2):
        file = EventFile(tmp_path, config())
        file.write(Report(0, epoch, 20 * epoch, {"val_loss": 1.0}))
        assert threading.active_count() == before
    assert len(list(tmp_path.iterdir())) == 2
    assert [event.step for event in events(tmp_path) if event.step] == [1, 2]


def test_a_value_beyond_single_precision_is_no_error(tmp_path: Path) -> None:
    file = EventFile(tmp_path, config())
    file.write(Report(0, 1, 20, {"val_loss": 1e300}))
    assert events(tmp_path)[-1].summary.value[0].tag == "val_loss"
