"""The shape of a file and the roles of its columns: read and said, or refused with a line."""

import re

import numpy as np
import pytest

from tests.fixtures.shapes import DAYS, Shape, bars, shapes
from trainable.cli.errors import UserError
from trainable.data.reading_notes import reading_lines
from trainable.data.settings import DataSettings
from trainable.data.sources import load_market

ALL = shapes()
SHAPES = {shape.name: shape for shape in ALL}


def test_every_shape_has_its_own_name():
    assert len(SHAPES) == len(ALL)


@pytest.mark.parametrize("name", SHAPES)
def test_a_file_of_this_shape_is_read_and_said_or_refused_in_one_line(name, tmp_path, monkeypatch):
    monkeypatch.setenv("ASHARPE_CACHE", str(tmp_path / "cache"))
    shape, path = SHAPES[name], tmp_path / name
    path.write_bytes(shape.content)
    settings = DataSettings(path=str(path))
    if shape.refused is not None:
        with pytest.raises(UserError) as error:
            load_market(settings)
        assert re.search(shape.refused, str(error.value))
        assert str(path) in str(error.value)
        assert "\n" not in str(error.value)
        return
    for _ in range(2):  # the second time from the cache: the same figures and the same words
        market = load_market(settings)
        assert market.symbols == (shape.symbols or (path.name.rpartition(".")[0],))
        np.testing.assert_array_equal(market.timestamps, DAYS.to_numpy())
        assert set(market.fields) == set(shape.fields)
        assert tuple(market.extra) == shape.extra
        assert_right(shape, market)
        lines = "\n".join(reading_lines(market.quality))
        for said in shape.says:
            assert said in lines


def assert_right(shape: Shape, market) -> None:
    """Compares the prices with those that the file was made from."""
    count = len(shape.symbols) or 1
    frames = [bars(seed) for seed in range(count)]
    for field in market.fields:
        expected = np.column_stack([frame[field] for frame in frames])
        tolerance = max(shape.rounded, 1e-2 if field == "volume" and shape.rounded > 1e-9 else 0)
        np.testing.assert_allclose(market.fields[field], expected, rtol=tolerance)


def test_a_percentage_is_a_fraction(tmp_path, monkeypatch):
    monkeypatch.setenv("ASHARPE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "a.csv").write_bytes(SHAPES["investing.csv"].content)
    market = load_market(DataSettings(path=str(tmp_path / "a.csv")))
    change = bars()["close"].pct_change().fillna(0)
    np.testing.assert_allclose(market.extra["Change %"][:, 0], change, atol=0.6e-4)
