"""A member on disk: exact, atomic, without a pickle, and never ahead of what is known."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from tests.fixtures.trainings import config, narrow, starts
from trainable.io.file_store import FileStore
from trainable.training.loop import Training
from trainable.training.member import MemberState
from trainable.worker import checkpoint


def state(epoch: int) -> MemberState:
    tensors = {"now.p": torch.full((3,), float(epoch)), "now.rng": torch.arange(9).byte()}
    record = {"epoch": epoch, "best_val_loss": None, "amid": {"steps": 0, "seconds": 0.0}}
    return MemberState(tensors, record, "cohort")


def real() -> MemberState:
    training = Training(starts([config(model__dropout=0.3)]), narrow())
    training.advance()
    return training.saved(0)


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    saved = real()
    place = FileStore.of(tmp_path).within("new", 7)
    name = checkpoint.write(place, saved)
    read = checkpoint.read(place, known=1)
    assert read is not None
    assert read.record == saved.record
    assert read.executor == "cohort"
    assert read.tensors.keys() == saved.tensors.keys()
    for key, tensor in read.tensors.items():
        assert torch.equal(tensor, saved.tensors[key])
        assert tensor.dtype == saved.tensors[key].dtype
    assert name == "checkpoint-000001-000000000.safetensors"
    assert [file.name for file in (tmp_path / "new" / "7").iterdir()] == [name]


def test_the_newest_that_is_not_ahead_of_the_driver(tmp_path: Path) -> None:
    assert checkpoint.read(FileStore.of(tmp_path), known=9) is None
    for epoch in (4, 10, 12):
        checkpoint.write(FileStore.of(tmp_path), state(epoch))
    assert len(list(tmp_path.iterdir())) == 2
    for known, expected in ((99, 12), (12, 12), (11, 10), (10, 10)):
        read = checkpoint.read(FileStore.of(tmp_path), known)
        assert read is not None
        assert read.record["epoch"] == expected
    assert checkpoint.read(FileStore.of(tmp_path), known=9) is None


def test_files_with_other_names_are_not_checkpoints(tmp_path: Path) -> None:
    place = FileStore.of(tmp_path)
    others = (
        "x",
        "",
        "000009",
        "x-000000001",
        "000009-x",
        "000009-000000000-copy",
        "٠٠٠٠٠٩-000000000",
    )
    for other in others:
        (tmp_path / f"checkpoint-{other}.safetensors").write_bytes(b"mine")
    assert checkpoint.read(place, known=9) is None
    assert checkpoint.newest(place) is None
    names = [checkpoint.write(place, state(epoch)) for epoch in (4, 5, 6)]
    read = checkpoint.read(place, known=5)
    assert read is not None
    assert read.epoch == 5
    assert checkpoint.newest(place) == names[-1]
    assert len(list(tmp_path.iterdir())) == len(others) + 2


def flipped(content: bytes, place: int) -> bytes:
    """One bit of one byte is another."""
    return content[:place] + bytes([content[place] ^ (1 << place % 8)]) + content[place + 1 :]


def test_a_damaged_file_is_put_aside_and_the_one_before_is_taken(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Truncated and bit-flipped at 64 places each: never taken for whole."""
    checkpoint.write(FileStore.of(tmp_path), state(2))
    path = tmp_path / checkpoint.write(FileStore.of(tmp_path), state(3))
    whole = path.read_bytes()
    aside = path.with_suffix(".damaged")
    places = [len(whole) * k // 64 for k in range(64)]
    damaged = [whole[:place] for place in places] + [flipped(whole, place) for place in places]
    for content in damaged:
        path.write_bytes(content)
        read = checkpoint.read(FileStore.of(tmp_path), known=3)
        assert read is not None
        assert read.record["epoch"] == 2
        assert aside.read_bytes() == content
    assert capfd.readouterr().err.count(f"{path.name} is damaged") == 128
    path.write_bytes(whole)
    read = checkpoint.read(FileStore.of(tmp_path), known=3)
    assert read is not None
    assert read.record["epoch"] == 3


def test_a_trial_whose_files_are_all_damaged_begins_anew(tmp_path: Path) -> None:
    for epoch in (2, 3):
        (tmp_path / checkpoint.write(FileStore.of(tmp_path), state(epoch))).write_bytes(b"")
    assert checkpoint.read(FileStore.of(tmp_path), known=3) is None
    assert len(list(tmp_path.glob("*.damaged"))) == 2


def test_system_b7_a_checkpoint_holds_tensors_and_json_only(tmp_path: Path) -> None:
    path = tmp_path / checkpoint.write(FileStore.of(tmp_path), real())
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["asharpe"])
    assert header["record"]["epoch"] == 1
    assert b"pickle" not in path.read_bytes()
    with pytest.raises(ValueError, match="JSON compliant"):
        checkpoint.write(
            FileStore.of(tmp_path), replace(real(), record=real().record | {"seconds": math.nan})
        )


def test_system_b8_random_numbers_and_place_in_the_order_are_saved() -> None:
    saved = real()
    assert saved.tensors["now.rng"].dtype == torch.uint8
    assert saved.record["steps"] == 20
    assert saved.record["epoch"] == 1
