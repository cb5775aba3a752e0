from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.settings.settings import SearchSettings
from trainable.cli.errors import UserError
from trainable.cli.options import Kind, asks_for_help, convert, describe, parse, print_help, split
from trainable.data.settings import DataSettings


@dataclass(frozen=True)
class Inner:
    rate: float = 0.1  # share kept
    names: tuple[str, ...] | None = None  # which ones


@dataclass(frozen=True)
class Outer:
    """A settings class with one field of each kind."""

    title: str  # needed
    count: int = 3  # how many
    limit: float | None = None  # upper bound, # or none
    label: str | None = None
    on: bool = False  # whether
    steps: tuple[int, ...] = ()  # where
    long: dict[str, str] = field(default_factory=dict)  # a comment behind the last line
    inner: Inner = field(default_factory=Inner)


def outer(*tokens: str) -> Outer:
    return parse(Outer, ["title=t", *tokens])


def test_every_kind_of_field_is_typed_by_its_field():
    got = outer(
        "count=7", "limit=1e-4", "label=1.10", "on=TRUE", "steps=1,4,10",
        "long.a/b=x=y", "long.c=1", "inner.rate=2", "inner.names=A, B",
    )  # fmt: skip
    expected = Outer(
        "t", 7, 1e-4, "1.10", True, (1, 4, 10), {"a/b": "x=y", "c": "1"}, Inner(2.0, ("A", "B"))
    )
    assert got == expected
    assert isinstance(got.inner.rate, float)
    assert isinstance(got.steps, tuple)


def test_defaults_stay_where_nothing_is_said():
    assert outer() == Outer("t")


@pytest.mark.parametrize("text", ["", "null"])
def test_empty_and_null_unset_an_optional_field(text):
    assert outer(f"limit={text}").limit is None
    assert outer(f"label={text}").label is None
    assert outer(f"inner.names={text}").inner.names is None


@pytest.mark.parametrize(
    "text",
    [
        "1.10", "a,b", "a=b", "postgresql://u:p@h/db?sslmode=require", "f(x)", "two words",
        "${trials}", "${oc.env:HOME}", "???", "'quoted'", '"q"', "[1, 2]", "{a: 1}", "\\${x}",
        "true", "1e3", "~", "*", "ünï",
    ],
)  # fmt: skip
def test_text_is_taken_literally(text):
    assert outer(f"label={text}").label == text
    assert outer(f"long.k={text}").long == {"k": text}
    assert parse(Outer, [f"title={text}"]).title == text


@given(st.text())
def test_any_text_round_trips(text):
    assert parse(Outer, [f"title={text}"]).title == text


@given(st.lists(st.text(alphabet="abcont=+~-.,1e/${}? \n", max_size=12), max_size=4))
def test_nonsense_is_the_persons_error_never_ours(tokens):
    with suppress(UserError):
        outer(*tokens)


@given(st.integers(min_value=-(10**12), max_value=10**12), st.floats(allow_nan=False))
def test_numbers_round_trip(whole, number):
    assert outer(f"count={whole}").count == whole
    if abs(number) != float("inf"):
        assert outer(f"limit={number!r}").limit == number


@pytest.mark.parametrize(
    ("token", "message"),
    [
        ("count=abc", "count=abc: expected a whole number"),
        ("count=1.0", "count=1.0: expected a whole number"),
        ("count=", "count=: expected a whole number"),
        ("count=null", "count=null: expected a whole number"),
        ("count=${limit}", "count=${limit}: expected a whole number"),
        ("count=???", "count=???: expected a whole number"),
        ("limit=x", "limit=x: expected a number"),
        ("limit=nan", "limit=nan: expected a finite number"),
        ("limit=-inf", "limit=-inf: expected a finite number"),
        ("limit=1e999", "limit=1e999: expected a finite number"),
        ("on=maybe", "on=maybe: expected true or false"),
        ("on=1", "on=1: expected true or false"),
        ("steps=1,x", "steps=x: expected a whole number"),
        ("cout=3", "unknown key 'cout'; did you mean 'count'? Available: "),
        ("inner.ratee=3", "did you mean 'inner.rate'?"),
        ("inner=3", "inner is a group of keys: write one of inner.rate, inner.names"),
        ("long=3", "long=3: write long.KEY=VALUE"),
        ("+count=1", "+count=1: no + needed; write count=1"),
        ("++count=1", "no ++ needed; write count=1"),
        ("--count=1", "no -- needed; write count=1"),
        ("~count", "no ~ needed; leave the key out"),
        ("hydra.run.dir=/tmp", "unknown key 'hydra.run.dir'"),
        ("count", "count: expected key=value"),
        ("=3", "there is no key before the ="),
        ("title=x", "title is given twice: keep one of them"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(token, message):
    with pytest.raises(UserError) as raised:
        outer(token)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


SPELLINGS = [
    "", "5", " 5", "5 ", "\n5\n", "\t", "+5", "-0", "--5", "007", "1_000", "1__0", "_1", "0x10",
    "0b1", "1.0", ".5", "5.", "1_0.5", "1e3", "1e1_0", "1e", "1e999", "1e-400", "1,5", "1 0",
    "1j", "\xbd", "\xb2", "\u0661", "\uff15", "\u0661.\u0665", "\u22125", "\xa05", "\x1c5",
    "5\x00", "inf", "-inf", "Infinity", "nan", "nan(1)", "null", "None", "true", "True", "TRUE",
    "tRuE", "false", "FALSE", " true", "false ", "yes", "on", "off", "1", "0", "${x}", "5${x}",
    "???", "~", "*", "&a", "!!int 5", "5 # c", "'5'", "[1]", "{a: 1}", "\\${x}", "9" * 5000,
]  # fmt: skip
READ = {
    int: {
        "5": 5, " 5": 5, "5 ": 5, "\n5\n": 5, "+5": 5, "-0": 0, "007": 7, "1_000": 1000,
        "\u0661": 1, "\uff15": 5, "\xa05": 5, "\x1c5": 5, "1": 1, "0": 0,
    },
    float: {
        "5": 5.0, " 5": 5.0, "5 ": 5.0, "\n5\n": 5.0, "+5": 5.0, "-0": 0.0, "007": 7.0,
        "1_000": 1000.0, "\u0661": 1.0, "\uff15": 5.0, "\xa05": 5.0, "\x1c5": 5.0, "1": 1.0,
        "0": 0.0, "1.0": 1.0, ".5": 0.5, "5.": 5.0, "1_0.5": 10.5, "1e3": 1000.0,
        "1e1_0": 10000000000.0, "1e-400": 0.0, "\u0661.\u0665": 1.5,
    },
    bool: {
        "true": True, "True": True, "TRUE": True, "tRuE": True, "false": False, "FALSE": False,
    },
}  # fmt: skip
NOT_FINITE = {"inf", "-inf", "Infinity", "nan", "1e999", "9" * 5000}


@pytest.mark.parametrize("base", list(READ))
@pytest.mark.parametrize("text", SPELLINGS)
def test_which_spellings_of_a_value_are_read(base, text):
    if text in READ[base]:
        value = convert(Kind(base), text, "key")
        assert (type(value), value) == (base, READ[base][text])
        return
    with pytest.raises(UserError) as raised:
        convert(Kind(base), text, "key")
    expected = {int: "a whole number", float: "a number", bool: "true or false"}[base]
    if base is float and text in NOT_FINITE:
        expected = "a finite number"
    assert str(raised.value) == f"key={text}: expected {expected}"


def test_an_entry_given_twice_is_refused():
    with pytest.raises(UserError, match=r"long\.a is given twice"):
        outer("long.a=1", "long.a=2")


def test_a_needed_key_is_asked_for():
    with pytest.raises(UserError, match="title is needed"):
        parse(Outer, [])


@pytest.mark.parametrize("prefix", ["data.", "data"])
def test_prefix_stands_before_every_key(prefix):
    got = parse(DataSettings, ["data.horizon=5", "data.synthetic.signal=0"], prefix=prefix)
    assert (got.horizon, got.synthetic.signal) == (5, 0.0)
    with pytest.raises(UserError, match=r"did you mean 'data\.horizon'"):
        parse(DataSettings, ["horizon=5"], prefix=prefix)


def test_split_is_at_the_first_equals_sign():
    assert split("a=b=c") == ("a", "b=c")


def test_describe_reads_type_default_and_the_comment_behind_the_field():
    rows = {row.key: row for row in describe(Outer)}
    assert rows["title"] == ("title", "text", "", "needed")
    assert rows["count"] == ("count", "a whole number", "3", "how many")
    assert rows["limit"].meaning == "upper bound, # or none"
    assert rows["label"].meaning == ""
    assert rows["long.KEY"].meaning == "a comment behind the last line"
    assert rows["inner.names"] == (
        "inner.names", "text, several joined by commas", "none", "which ones"
    )  # fmt: skip
    assert list(rows)[-2:] == ["inner.rate", "inner.names"]


@pytest.mark.parametrize("cls", [SearchSettings, DataSettings])
def test_every_real_setting_has_a_meaning(cls):
    assert [row.key for row in describe(cls) if not row.meaning] == []


def test_help_lists_every_key_with_meaning_and_default(capsys):
    print_help(DataSettings, "usage: x", prefix="data.")
    text = capsys.readouterr().out
    assert text.startswith("usage: x\n")
    for row in describe(DataSettings, "data."):
        assert f"  {row.key} " in text
    assert "default: us20" in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 110


def test_asks_for_help():
    assert asks_for_help(["a=1", "--help"])
    assert not asks_for_help(["name=--help"])
