"""The copy of a file of prices that makes reading it again quick."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.trainable.data.ingest.test_table import BARS, assert_same, frame, load
from trainable.cli.errors import UserError
from trainable.data.ingest import table as reading
from trainable.data.ingest.table import cache_folder


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ASHARPE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_cache_is_used_and_made_anew_when_damaged(tmp_path, cache, monkeypatch):
    path = tmp_path / "a.csv"
    frame().to_csv(path, index=False)
    first = load(path)
    (kept,) = cache.iterdir()

    def no_reading(_path):
        raise AssertionError("the CSV was read although its cache exists")

    with monkeypatch.context() as patch:
        patch.setattr(reading, "CsvFile", no_reading)
        assert_same(load(path), first)

    whole = kept.read_bytes()
    damaged = [whole[:100], b"nonsense", whole[:200] + bytes(200) + whole[400:], b""]
    for content in damaged:
        kept.write_bytes(content)
        assert_same(load(path), first)
        assert pq.read_table(kept).num_rows == 3 * BARS
    assert [kept] == list(cache.iterdir())


def test_without_a_place_for_the_cache_the_file_is_read_all_the_same(tmp_path, monkeypatch):
    path = tmp_path / "a.csv"
    frame().to_csv(path, index=False)
    first = load(path)
    blocked = tmp_path / "a-file"
    blocked.write_text("")
    monkeypatch.setenv("ASHARPE_CACHE", str(blocked / "cache"))
    assert_same(load(path), first)


def test_cache_folder_follows_the_environment(tmp_path, monkeypatch):
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("ASHARPE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert cache_folder() == tmp_path / "x" / "asharpe"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "asharpe"


def test_a_failed_conversion_leaves_nothing_in_the_cache(tmp_path, cache):
    table = frame().astype({"close": object})
    table.loc[40, "close"] = "oops"
    table.to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(UserError):
        load(tmp_path / "a.csv")
    assert list(cache.iterdir()) == []


def test_a_parquet_file_of_a_person_tells_nothing_about_how_it_was_read(tmp_path):
    table = pa.Table.from_pandas(frame(), preserve_index=False)
    table = table.replace_schema_metadata({"asharpe.reading": '{"notes": ["all is well"]}'})
    pq.write_table(table, tmp_path / "a.parquet")
    assert "read_as" not in load(tmp_path / "a.parquet").quality
