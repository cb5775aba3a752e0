"""Files: every form that must be read, and each defect of a file with its message."""

import gzip
import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trainable.cli.errors import UserError
from trainable.data.ingest.table import open_table
from trainable.data.settings import DataSettings
from trainable.data.sources import load_market

BARS = 30
SCORES = np.random.default_rng(2).normal(0, 0.1, 3 * BARS)


def frame(symbols: int = 3) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    parts = []
    for n in range(symbols):
        close = np.exp(np.cumsum(rng.normal(0, 0.01, BARS))) * 50
        start = close * np.exp(rng.normal(0, 0.003, BARS))
        parts.append(
            pd.DataFrame(
                {
                    "timestamp": pd.bdate_range("2024-01-01", periods=BARS),
                    "symbol": f"S{n}",
                    "open": start,
                    "high": np.maximum(start, close) * 1.002,
                    "low": np.minimum(start, close) * 0.998,
                    "close": close,
                    "volume": rng.integers(1000, 9000, BARS),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def load(path: Path, **settings):
    return load_market(DataSettings(path=str(path), **settings))


def assert_same(a, b) -> None:
    np.testing.assert_array_equal(a.timestamps, b.timestamps)
    assert a.symbols == b.symbols
    assert a.fields.keys() == b.fields.keys()
    for name in a.fields:
        np.testing.assert_array_equal(a.fields[name], b.fields[name])
    np.testing.assert_array_equal(a.present, b.present)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_parquet_and_the_csv_made_from_it_give_the_same_panel(tmp_path, dtype):
    table = frame().astype(dict.fromkeys(["open", "high", "low", "close"], dtype))
    table.to_parquet(tmp_path / "a.parquet", index=False)
    table.to_csv(tmp_path / "a.csv", index=False)
    market = load(tmp_path / "a.parquet")
    assert_same(market, load(tmp_path / "a.csv"))
    expected = table.pivot(index="timestamp", columns="symbol", values="close").to_numpy()
    np.testing.assert_allclose(market.fields["close"], expected, rtol=1e-7)


def text(table: pd.DataFrame, **options) -> bytes:
    return table.to_csv(index=False, **options).encode()


@pytest.mark.parametrize(
    "form",
    ["plain", "crlf", "bom", "quoted", "semicolon", "tab", "blank_first_line", "no_last_newline"],
)
def test_forms_of_csv(tmp_path, form):
    table = frame()
    forms = {
        "plain": text(table),
        "crlf": text(table, lineterminator="\r\n"),
        "bom": b"\xef\xbb\xbf" + text(table),
        "quoted": text(table, quoting=1),
        "semicolon": text(table, sep=";"),
        "tab": text(table, sep="\t"),
        "blank_first_line": b"\n" + text(table),
        "no_last_newline": text(table).rstrip(),
    }
    (tmp_path / "plain.csv").write_bytes(forms["plain"])
    (tmp_path / "other.csv").write_bytes(forms[form])
    assert_same(load(tmp_path / "other.csv"), load(tmp_path / "plain.csv"))


def test_compressed_csv_and_the_name_of_a_single_symbol(tmp_path):
    table = frame(1).drop(columns="symbol")
    (tmp_path / "ES.csv.gz").write_bytes(gzip.compress(text(table)))
    assert load(tmp_path / "ES.csv.gz").symbols == ("ES",)


def test_names_in_any_case_order_and_spacing_and_rows_in_any_order(tmp_path):
    table = frame()
    table.to_csv(tmp_path / "a.csv", index=False)
    shuffled = table.sample(frac=1, random_state=1)[
        ["volume", "close", "symbol", "low", "timestamp", "high", "open"]
    ]
    shuffled.columns = ["VOLUME", " Close ", "Ticker", "low", "DateTime", "High", "oPen"]
    shuffled.to_csv(tmp_path / "b.csv", index=False)
    other = load(tmp_path / "b.csv")
    assert_same(load(tmp_path / "a.csv"), other)
    assert other.quality["unsorted_rows"] > 0


def test_a_saved_row_index_is_no_column_and_an_unnamed_time_index_is_the_timestamp(tmp_path):
    table = frame()
    table.to_csv(tmp_path / "index.csv")
    table.to_csv(tmp_path / "plain.csv", index=False)
    assert_same(load(tmp_path / "index.csv"), load(tmp_path / "plain.csv"))
    table.set_index("timestamp").rename_axis(None).to_parquet(tmp_path / "time.parquet")
    assert_same(load(tmp_path / "time.parquet"), load(tmp_path / "plain.csv"))


def test_sha256_is_that_of_the_content(tmp_path):
    path = tmp_path / "a.csv"
    frame().to_csv(path, index=False)
    assert open_table(path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def write_bytes(content: bytes):
    return lambda path: path.write_bytes(content)


def truncated_parquet(path: Path) -> None:
    frame().to_parquet(path)
    path.write_bytes(path.read_bytes()[:-200])


@pytest.mark.parametrize(
    ("name", "make", "says"),
    [
        ("none.csv", lambda _: None, "no such file"),
        ("none.parquet", lambda _: None, "no such file"),
        ("a.xlsx", write_bytes(b"x"), "unknown kind of file"),
        ("plain", write_bytes(b"x"), "unknown kind of file"),
        ("folder.csv", lambda path: path.mkdir(), "not a file"),
        ("a.csv", write_bytes(b""), "the file is empty"),
        ("a.parquet", write_bytes(b""), "the file is empty"),
        ("a.csv", write_bytes(b"\n\n"), "the file is empty"),
        ("a.csv", write_bytes(b"timestamp,symbol,close\n"), "no data rows"),
        (
            "a.csv",
            write_bytes(b"timestamp,close\n2024-01-01,1\n2024-01-02"),
            "data row 2: 1 cell instead",
        ),
        ("a.csv", write_bytes(text(frame()).rstrip() + b',"109.4'), "instead of"),
        (
            "a.csv",
            write_bytes(b'timestamp,close\n2024-01-01,"1"\n2024-01-02,"109.4'),
            "quoted cell",
        ),
        ("a.csv", write_bytes(b'timestamp,close\n2024-01-01,"1"\n2024-01-02,"109.4\n'), "quoted"),
        ("a.csv", write_bytes("timestamp,close\n".encode("utf-16")), "no data rows"),
        ("a.csv", write_bytes(b"timestamp,close\n2024-01-01,\0\0\n"), "NUL"),
        ("a.csv", write_bytes(b"timestamp,close,CLOSE \n2024-01-01,1,2\n"), "two columns"),
        ("a.csv", write_bytes(b"timestamp,close,close\n2024-01-01,1,2\n"), "two columns"),
        ("a.csv", write_bytes(b"PAR1 and more"), "rename it to .parquet"),
        ("a.csv", write_bytes(b"timestamp,close\n2024-01-01,\xff\xfe\n"), "UTF-8"),
        ("a.csv.gz", write_bytes(gzip.compress(text(frame()))[:-400]), "truncated"),
        ("a.csv.gz", write_bytes(b"no gzip"), "damaged"),
        ("a.parquet", write_bytes(b"timestamp,close\n"), "not a Parquet file"),
        ("a.parquet", truncated_parquet, "truncated Parquet file"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, name, make, says):
    path = tmp_path / name
    make(path)
    with pytest.raises(UserError, match=says) as error:
        load(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_header_only_parquet(tmp_path):
    frame().iloc[:0].to_parquet(tmp_path / "a.parquet", index=False)
    with pytest.raises(UserError, match="no data rows"):
        load(tmp_path / "a.parquet")


def test_system_b3_text_cells_in_a_csv_column(tmp_path):
    table = frame().astype({"close": object})
    table.loc[[41, 60], "close"] = ["n.m.", "n.m."]
    table.to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(UserError) as error:
        load(tmp_path / "a.csv")
    message = str(error.value)
    assert "a.csv: data row 42 (2024-01-16, S1)" in message
    assert "'n.m.' in column 'close' is not a number" in message


def test_system_b3_text_cells_in_a_parquet_column(tmp_path):
    table = frame().astype({"high": str})
    table.loc[41, "high"] = "12,5"
    table.to_parquet(tmp_path / "a.parquet", index=False)
    with pytest.raises(UserError, match=r"data row 42 \(2024-01-16, S1\).*'12,5'.*'high'.*point"):
        load(tmp_path / "a.parquet")


def test_system_b3_text_cell_beyond_the_first_block(tmp_path, monkeypatch):
    monkeypatch.setattr("trainable.data.ingest.csv_files.BLOCK", 1 << 10)
    table = frame().astype({"volume": object}).assign(score=1.5)
    table["score"] = SCORES.astype(object)
    table["note"] = [None] * 70 + ["late"] * 20
    table.loc[88, "score"] = "bad"
    table.to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(UserError, match=r"data row 89 \(2024-02-08, S2\): 'bad' in column 'score'"):
        load(tmp_path / "a.csv")
    table["score"] = SCORES
    table.to_csv(tmp_path / "b.csv", index=False)
    market = load(tmp_path / "b.csv")
    assert list(market.extra) == ["score"]
    assert market.quality["ignored_columns"] == ["note"]


def test_words_for_empty_are_missing_and_text_columns_are_ignored(tmp_path):
    table = frame().assign(sector="tech", rank=1.0).astype({"close": object, "rank": object})
    table["rank"] = SCORES
    table.loc[5, "close"] = " NaN "
    table.loc[6, "close"] = "N/A"
    table.loc[7, "close"] = None
    table.loc[8, "close"] = " 51.5 "
    table.to_csv(tmp_path / "a.csv", index=False)
    market = load(tmp_path / "a.csv")
    assert market.quality["rows_without_close"] == 3
    assert market.quality["missing_bars"] == 3
    assert market.quality["ignored_columns"] == ["sector"]
    assert list(market.extra) == ["rank"]
    assert np.isnan(market.fields["open"][5, 0])
    assert market.fields["close"][8, 0] == 51.5


def test_a_symbol_may_be_called_na(tmp_path):
    table = frame()
    table["symbol"] = table["symbol"].replace({"S1": "NA"})
    table.to_csv(tmp_path / "a.csv", index=False)
    assert load(tmp_path / "a.csv").symbols == ("NA", "S0", "S2")


def test_other_types_of_parquet_columns(tmp_path):
    plain = frame()
    plain.to_parquet(tmp_path / "a.parquet", index=False)
    other = plain.assign(
        symbol=plain["symbol"].astype("category"),
        timestamp=plain["timestamp"].dt.date,
        flag=True,
        kept=SCORES,
    )
    arrow = pa.Table.from_pandas(other, preserve_index=False)
    pq.write_table(arrow, tmp_path / "b.parquet")
    market = load(tmp_path / "b.parquet")
    assert_same(load(tmp_path / "a.parquet"), market)
    assert market.quality["left_out_columns"] == [{"column": "flag", "why": "1 throughout"}]
    assert list(market.extra) == ["kept"]
