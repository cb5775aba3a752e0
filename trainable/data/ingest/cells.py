"""What a cell of text says: a date, a number in one of its written forms, or nothing."""

# pyright: reportAttributeAccessIssue=false
# pyarrow.compute makes its functions when it is imported, where pyright cannot see them.

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trainable.cli.errors import UserError

EMPTY_CELLS = [
    *("", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NULL", "null", "None", "NaT", "-", "--", "."),
    *("#N/A N/A", "\u2212", "\u2013", "\u2014"),
]
UNITS = {
    **{"": 1.0, "%": 0.01, "k": 1e3, "m": 1e6, "b": 1e9, "bn": 1e9, "t": 1e12},
    **{"\u4e07": 1e4, "\u842c": 1e4, "\u4ebf": 1e8, "\u5104": 1e8},  # Chinese and Japanese
}
SAMPLE = 1000  # cells of a column that are looked at for their form

_DATE = re.compile(
    r"\d{4}[-/.]\d{1,2}([-/.]\d{1,2}|$)|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}|(19|20)\d{6}(\D|$)"
    r"|\d{1,2}[-/ .]{0,2}[A-Za-z]{3,9}[-/ .,]*\d{2,4}|[A-Za-z]{3,9}\.? \d{1,2},? \d{4}"
)
RATIO = r"(?i)^(?P<many>\d+(?:\.\d+)?)(?: ?[:/] ?|[- ]?for[- ]?| to )(?P<few>0*[1-9]\d*(?:\.\d+)?)$"
CODE = r"^\s*[A-EPST]\s*$"
_SPACES = "[ \u00a0\u2007\u2009\u202f'’]"  # between groups of digits: 1 234.5, 1'234.5
INDIAN = r"\d{1,2}(?:,\d\d)+,\d{3}"  # 1,10,071
_GAP = "[\\s\u00a0\u2007\u2009\u202f]*"
_MINUS = "[\u2212\u2010\u2011\u2013\ufe63\uff0d]"  # signs that stand for `-`
_LETTERS = "KMBTkmbt\u4e07\u842c\u4ebf\u5104"
_UNIT = f"(?:%|[{_LETTERS}]|bn)"
_CODES = (
    "USDT|USDC|USD|EUR|GBP|GBX|GBp|JPY|CHF|CAD|AUD|NZD|CNY|CNH|RMB|HKD|SGD|INR|KRW|TWD|SEK|NOK|DKK|"
    "PLN|CZK|HUF|RON|TRY|RUB|ZAR|BRL|MXN|ILS|THB|IDR|MYR|PHP|VND|SAR|AED|QAR|KWD|EGP|NGN|CLP|COP|"
    "PEN|ARS|BTC|ETH|kr|zł|Rs\\.?|(?:US|HK|NT|R|A|C|S)\\$"
)
_MONEY = f"(?:{_CODES}|[$€£¥₹₩₽₺₪฿₫₱₴₦])"
_BEFORE = rf"^([+-]?){_GAP}{_MONEY}{_GAP}([+-]?[\d.,])"
_BEHIND = rf"([\d.,%n{_LETTERS}]){_GAP}{_MONEY}$"
_ANY_MONEY = rf"(?:^[+-]?{_GAP}(?P<before>{_MONEY})|(?P<behind>{_MONEY})$)"
_NUMBER = re.compile(
    rf"[-+]?{_GAP}(?:{_MONEY})?{_GAP}[-+]?(\d[\d.,'’\s]*|[.,]\d+)([eE][-+]?\d+)?\s*"
    rf"{_UNIT}?{_GAP}(?:{_MONEY})?$"
)


@dataclass(frozen=True)
class Marks:
    """How numbers are written.

    Attributes:
        decimal: the decimal mark, `.` or `,`.
        certain: some cell shows which of the two it is; else `1,234` could be either.
    """

    decimal: str = "."
    certain: bool = False

    @property
    def group(self) -> str:
        """The mark between groups of three digits."""
        return "," if self.decimal == "." else "."


def is_date(cell: str) -> bool:
    """Returns whether a cell begins with a date, or is one."""
    return _DATE.match(cell.strip()) is not None


def is_number(cell: str) -> bool:
    """Returns whether a cell is a number in any of the written forms."""
    return _NUMBER.match(re.sub(_MINUS, "-", cell.strip())) is not None


def number_marks(cells: Iterable[str]) -> Marks:
    """Returns how numbers are written, from cells of which many are numbers.

    A comma that cannot stand between groups of three digits, or of two and at last three as in
    India, is a decimal comma, unless a point somewhere is a decimal point as surely.
    """
    point = comma = False
    for cell in cells:
        cell = re.sub(f"^{_MINUS}", "-", cell.strip())
        cell = re.sub(_BEHIND, r"\1", re.sub(_BEFORE, r"\1\2", cell))
        cell = re.sub(rf"(?<=\d){_SPACES}(?=\d{{3}})", "", cell.strip(f"% +-{_LETTERS}"))
        if not cell or cell[0] not in "0123456789.,":
            continue
        if re.fullmatch(r"\d*\.\d+|\d{1,3}(,\d{3})+\.\d*|\d{1,3}(,\d{3}){2,}", cell):
            point |= not re.fullmatch(r"[1-9]\d{0,2}\.\d{3}", cell)
        elif re.fullmatch(r"\d{1,2}(,\d\d)+,\d{3}(\.\d*)?", cell):
            point = True
        elif re.fullmatch(r"\d*,\d+|\d{1,3}(\.\d{3})+,\d*|\d{1,3}(\.\d{3}){2,}", cell):
            comma |= not re.fullmatch(r"[1-9]\d{0,2},\d{3}", cell)
    return Marks("," if comma and not point else ".", point or comma)


def to_numbers(
    column: pa.Array | pa.ChunkedArray,
    required: bool,
    name: str,
    where: Callable[[int], str],
    marks: Marks | None = None,
) -> pa.Array | pa.ChunkedArray | None:
    """Casts text to numbers; None where a column is text by nature.

    Thousands separators and one currency's sign or code are dropped, a percentage is divided by
    100, and K, M, B and T multiply.

    Args:
        column: [R] text.
        required: the column must be numbers; others are text where fewer than half of the filled
            cells are numbers.
        name: as written, for errors.
        where: gives file and row of a 0-based row, for errors.
        marks: how numbers are written; None: as the column itself shows.

    Raises:
        UserError: a text cell among numbers, or a comma that may be either mark.
    """
    points = marks is None or marks.decimal == "."  # elsewhere 1.234 is a thousand and more
    if points and (numbers := _cast(column)) is not None:
        return numbers
    trimmed = pc.utf8_trim_whitespace(column)
    trimmed = pc.if_else(pc.is_in(trimmed, value_set=pa.array(EMPTY_CELLS)), None, trimmed)
    if points and (numbers := _cast(trimmed)) is not None:
        return numbers
    if marks is None:
        marks = number_marks(_sample(trimmed))
    bare = pc.replace_substring_regex(trimmed, f"^{_MINUS}{_GAP}", "-")
    money = _currencies(bare)
    bare = pc.replace_substring_regex(bare, _BEFORE, r"\1\2")
    bare = pc.replace_substring_regex(bare, _BEHIND, r"\1")
    digits = (
        rf"(?:\d{{1,3}}(?:{re.escape(marks.group)}\d{{3}})+|\d{{1,3}}(?:{_SPACES}\d{{3}})+|\d+"
        rf"{'|' + INDIAN if marks.group == ',' else ''})"
    )
    decimal = re.escape(marks.decimal)
    number = (
        rf"^(?P<number>[+-]?(?:{digits}(?:{decimal}\d*)?|{decimal}\d+)(?:[eE][+-]?\d+)?)"
        rf"\s*(?P<unit>{_UNIT})?$|^[+-]?(?i:inf|infinity|nan)$"
    )
    text = _unlike(bare, number)
    if not required and text.any():  # `10K` among `10Q` is a word
        filled = len(trimmed) - trimmed.null_count
        words = _unlike(bare, number.replace(_UNIT, "%"))
        if 2 * words.sum() > filled:
            return None
    if not text.any():
        if len(money) > 1:
            raise UserError(
                f"{where(0)}: column {name!r} holds several currencies ({', '.join(money[:4])}); "
                "give all of it in one"
            )
        return _values(bare, number, marks, name, where)
    row = int(np.flatnonzero(text)[0])
    cell = trimmed[row].as_py()
    raise UserError(
        f"{where(row)}: {cell!r} in column {name!r} is not a number; correct or empty the "
        f"cell{_advice(cell, marks)}"
    )


def _advice(cell: str, marks: Marks) -> str:
    """What to write instead of a cell that is no number here."""
    if re.fullmatch(r"\(.*\d.*\)", cell):
        return f"; if its parentheses are a minus, write -{cell[1:-1].strip()}"
    if re.fullmatch(r"\d+(-\d+\+?|[- ]\d+/\d+)", cell):
        return "; write fractions of a price as decimals"
    if marks.group in cell and re.fullmatch(r"[-+]?[\d.,]+", cell):
        return f"; write decimals with a {'point' if marks.decimal == '.' else 'comma'}"
    return ""


def _currencies(column: pa.Array | pa.ChunkedArray) -> list[str]:
    """The signs and codes of currencies that stand before or behind the numbers of a column."""
    parts = pc.extract_regex(column, _ANY_MONEY)
    found = {
        text
        for part in ("before", "behind")
        for text in pc.unique(pc.struct_field(parts, part)).to_pylist()
    }
    return sorted(found - {None, ""})


def _cast(column: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray | None:
    """Plain numbers; None where a cell holds spaces, a word, another form, or text."""
    try:
        return column.cast(pa.float64())
    except pa.ArrowInvalid:
        return None


def _unlike(column: pa.Array | pa.ChunkedArray, pattern: str) -> np.ndarray:
    """[R] bool, filled cells that a pattern does not match."""
    unlike = pc.invert(pc.fill_null(pc.match_substring_regex(column, pattern), True))
    return np.asarray(unlike.to_numpy(zero_copy_only=False))


def _values(
    bare: pa.Array | pa.ChunkedArray,
    number: str,
    marks: Marks,
    name: str,
    where: Callable[[int], str],
) -> pa.Array:
    if isinstance(bare, pa.ChunkedArray):
        bare = bare.combine_chunks()
    if not marks.certain:
        unclear = pc.fill_null(pc.match_substring(bare, marks.group), False)
        if pc.any(unclear).as_py():
            row = pc.index(unclear, True).as_py()
            cell = bare[row].as_py()
            raise UserError(
                f"{where(row)}: {cell!r} in column {name!r}: the comma may divide thousands or "
                f"begin the decimals, and no cell of the file shows which; write "
                f"{cell.replace(',', '')} or {cell.replace(',', '.')}"
            )
    parts = pc.extract_regex(bare, number)
    special = pc.equal(pc.struct_field(parts, "number"), "")
    digits = pc.struct_field(parts, "number")
    for mark in (marks.group, *" \u00a0\u2007\u2009\u202f'’"):
        digits = pc.replace_substring(digits, mark, "")
    digits = pc.replace_substring(digits, marks.decimal, ".")
    digits = pc.replace_substring_regex(digits, r"\.($|[eE])", r"\1")
    digits = pc.if_else(pc.fill_null(special, False), bare, digits)
    units = pc.utf8_lower(pc.struct_field(parts, "unit"))
    factor = pa.array(UNITS.values(), pa.float64()).take(
        pc.index_in(units, value_set=pa.array(UNITS.keys(), pa.string()))
    )
    return pc.multiply(digits.cast(pa.float64()), factor)


def with_ratios(column: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray | None:
    """Returns text with `4:1`, `4/1` and `4-for-1` as 4.0; None where no cell is such a ratio."""
    parts = pc.extract_regex(pc.utf8_trim_whitespace(column), RATIO)
    found = pc.is_valid(parts)
    if not pc.any(found).as_py():
        return None
    many, few = (
        pc.if_else(found, pc.struct_field(parts, part), "1").cast(pa.float64())
        for part in ("many", "few")
    )
    return pc.if_else(found, pc.divide(many, few).cast(pa.string()), column)


def without_codes(column: pa.Array | pa.ChunkedArray) -> tuple[pa.Array | pa.ChunkedArray, str]:
    """Returns text without CRSP's letters for a missing return, and which there were: `B, C`."""
    coded = pc.match_substring_regex(column, CODE)
    letters = pc.unique(pc.utf8_trim_whitespace(column.filter(coded))).to_pylist()
    return pc.if_else(coded, None, column), ", ".join(sorted(letters))


def truth_values(column: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray | None:
    """Returns text of true and false as booleans; None where it says something else."""
    words = pc.utf8_lower(pc.utf8_trim_whitespace(column))
    words = pc.if_else(
        pc.is_in(words, value_set=pa.array(["", "nan", "null", "none"])), None, words
    )
    known = pc.is_in(words, value_set=pa.array(["true", "false"]))
    if words.null_count == len(words) or not pc.all(pc.or_(known, pc.is_null(words))).as_py():
        return None
    return pc.equal(words, "true")


def written_forms(cells: Iterable[str], marks: Marks) -> list[str]:
    """Returns in words how the numbers of a column are written where that is unusual."""
    found: dict[str, None] = {}
    for cell in cells:
        cell = cell.strip()
        if not is_number(cell):
            continue
        if marks.group in cell or re.search(rf"\d{_SPACES}\d", cell):
            found["thousands separators dropped"] = None
        if marks.decimal == "," and "," in cell:
            found["decimal commas"] = None
        if cell.endswith("%"):
            found["percent divided by 100"] = None
        plain = re.sub(_BEHIND, r"\1", cell)
        if plain[-1] in "n" + _LETTERS:
            found["K, M, B, T multiplied out"] = None
        if plain != cell or re.match(_BEFORE, cell):
            found["currency signs dropped"] = None
    return list(found)


def _sample(column: pa.Array | pa.ChunkedArray) -> list[str]:
    return [cell for cell in column.slice(0, SAMPLE).to_pylist() if cell is not None]


def one_line(error: BaseException) -> str:
    """An error's message in one line of at most 200 characters."""
    return " ".join(str(error).split())[:200]
