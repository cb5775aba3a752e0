"""The roles that a column can have, and the spellings by which one is known.

A spelling in `SPELLINGS` means its role without doubt. One in `ALIASES` does so only where no other
column has the role, and is said in the plan. All are compared without case, separators and what
stands in brackets: `Adj. Close`, `adjClose` and `ADJ_CLOSE (USD)` are one spelling.
"""

import re
import unicodedata
from collections.abc import Iterable

from trainable.cli.errors import UserError

TIME_NAMES = ("timestamp", "datetime", "date", "time")
SYMBOL_NAMES = ("symbol", "ticker")
PRICES = ("open", "high", "low", "close")
ADJUSTED = ("adj_open", "adj_high", "adj_low", "adj_close")
FIELD_NAMES = (*PRICES, "adj_close", "volume", "adj_open", "adj_high", "adj_low", "adj_volume")
EVENT_NAMES = ("split", "dividend")

SPELLINGS: dict[str, tuple[str, ...]] = {
    "timestamp": ("timestamp", "timestamputc"),
    "datetime": ("datetime", "dateandtime", "datetimeutc"),
    "date": ("date", "dateutc"),
    "time": ("time", "timeutc"),
    "symbol": ("symbol", "symbols"),
    "ticker": ("ticker", "tickers"),
    "volume": ("volume", "totalvolume", "tradedvolume", "volumetraded"),
    "split": (
        *("split", "splits", "stocksplit", "stocksplits"),
        *("splitcoefficient", "splitcoeff", "splitfactor", "splitratio"),
    ),
    "dividend": ("dividendamount", "dividends", "dividend", "divcash", "cashdividend"),
}
for _role in PRICES:
    _ing = {"close": "closing", "open": "opening"}.get(_role, _role)
    SPELLINGS[_role] = (_role, f"{_role}price", f"price{_role}", f"{_ing}price")
    SPELLINGS[f"adj_{_role}"] = tuple(
        spelling
        for word in ("adj", "adjusted", "adjustment")
        for spelling in (
            f"{word}{_role}",
            f"{word}{_role}price",
            f"{word}{_ing}price",
            f"{_role}{word}",
            f"{_role}price{word}",
        )
    )
    SPELLINGS[f"adj_{_role}"] += (f"adj{_role[0]}",)  # J-Quants: AdjO, AdjH, AdjL, AdjC, AdjVo
SPELLINGS["close"] += ("closelast",)
SPELLINGS["adj_volume"] = (
    *("adjvolume", "adjustedvolume", "adjustmentvolume", "volumeadj", "volumeadjusted"),
)

ALIASES: dict[str, tuple[str, ...]] = {
    "timestamp": (
        *("opentime", "timeopen", "ds", "actionday", "tradedate", "tradingdate"),
        *("tradingday", "tradetime"),
        *("pricedate", "quotedate", "observationdate", "gmttime", "localtime", "bartime"),
        *("candletime", "day", "dt", "ts", "caldt", "datadate", "asofdate", "datum", "unix"),
        *("unixtime", "unixtimestamp", "epoch", "t", "closetime", "timeclose"),
        *("yyyymm", "yyyymmdd", "yearmonth", "monthend", "dlycaldt", "mthcaldt"),
    ),
    "symbol": (
        *("uniqueid", "sym", "tic", "tickersymbol", "tscode", "stockcode", "ric", "instrument"),
        *("asset", "pair", "security", "stock", "coin", "contract", "permno", "isin", "cusip"),
        *("gvkey", "secid", "code", "name"),
    ),
    "close": (
        *(
            "closing",
            "closes",
            "closed",
            "last",
            "latest",
            "lastprice",
            "pxlast",
            "lasttradeprice",
            "price",
            "settle",
        ),
        *("settlement", "settlementprice", "prc", "schlusskurs", "schluss", "c", "y"),
        *("dlyprc", "dlyclose", "mthprc"),
    ),
    "open": ("opening", "opens", "pxopen", "openprc", "eroffnung", "erster", "o", "dlyopen"),
    "high": ("highest", "highs", "pxhigh", "askhi", "hoch", "h", "dlyhigh"),
    "low": ("lowest", "lows", "pxlow", "bidlo", "tief", "l", "dlylow"),
    "volume": (
        *("vol", "volumes", "pxvolume", "tickvol", "tickvolume", "stuecke", "stucke", "volumen"),
        *("basevolume", "v", "dlyvol", "mthvol"),
    ),
    "adj_volume": ("adjvo",),
    "dividend": ("exdividend", "exdiv", "divamt", "cashdiv", "dividendcash", "dividendpaid"),
    "adj_close": ("adj", "adjusted", "adjprice", "adjustedprice", "priceadj", "pxadj", "adjprc"),
}
NOT_BESIDE = {"dlyclose": "dlyprc"}  # CRSP: the trade alone, beside that or the mean of bid and ask
LETTERS = frozenset("ohlcvty")  # one-letter aliases count only beside o, h, l and c
CLOCK_NAMES = frozenset(
    (
        *("hhmm", "hhmmss", "hour", "hora", "uhrzeit", "zeit", "clock", "heure", "ora", "tijd"),
        *("godzina", "bartime", "tradetime", "timeofday", "tod", "tradingtime", "localtime"),
        *("timestr", "starttime", "endtime"),
    )
)
TIMES = frozenset((*TIME_NAMES, *ALIASES["timestamp"], "timehigh", "timelow"))
RAW_CLOSES = frozenset(
    word + "close" for word in ("unadj", "unadjusted", "raw", "nonadjusted")
) | frozenset("close" + word for word in ("unadj", "unadjusted", "raw"))

LIKELY_CLOSE = re.compile(
    r"(?i)(?!.*(prev|pre_|next|lag|log|open|high|low|avg|mean|target|52|week|month|year))"
    r".*(close|clpr|prc|price|px|last|settle|settlement|nav|kurs)[_ ]?\d?"
)  # a name that may be the close
IDENTITIES = ("permno", "permco", "gvkey", "isin", "cusip", "sedol", "figi", "secid")
CODED = (
    "ret",
    "retx",
    "dlret",
    "dlretx",
    "dlyret",
    "dlyretx",
)  # returns of CRSP, in which letters stand for none

_BY_SPELLING = {spelling: role for role, all_ in SPELLINGS.items() for spelling in all_}


def squashed(name: str) -> str:
    """Returns a name without case, accents, separators, numbering and what is in brackets."""
    name = re.sub(r"\(.*?\)|\[.*?\]", "", name) or name
    name = re.sub(r"^\s*\d+[.)]\s*", "", name)
    letters = unicodedata.normalize("NFKD", name).casefold()
    return "".join(character for character in letters if character.isalnum())


def plain(name: str) -> str:
    """Returns a column's name in lower case, trimmed, with its words joined by underscores."""
    return "_".join(name.strip().lower().split())


def canonical(name: str) -> str:
    """Returns the role of a name that means one without doubt, else the plain name."""
    return _BY_SPELLING.get(squashed(name)) or plain(name)


def role_of(name: str) -> str | None:
    """Returns the role that a name means, surely or as an alias; None: no known one."""
    short = squashed(name)
    if short in _BY_SPELLING:
        return _BY_SPELLING[short]
    return next((role for role, names in ALIASES.items() if short in names), None)


def is_clock_name(name: str) -> bool:
    """Returns whether a column is called like one of times of the day: `BarTime`, `TIME_M`."""
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)
    short = squashed(name)
    return short in CLOCK_NAMES or short.endswith("ofday") or "time" in map(str.lower, words)


def is_unnamed(key: str) -> bool:
    """Returns whether a column had no name: an index that was saved along."""
    return key.startswith(("unnamed:", "__index_level_"))


def near_miss(name: str, role: str) -> bool:
    """Returns whether a name is one slip of the keys from a role: `clsoe`, `volumne`, `opne`."""
    short = squashed(name)
    for right in SPELLINGS[role]:
        swaps = (
            right[:i] + right[i + 1] + right[i] + right[i + 2 :] for i in range(len(right) - 1)
        )
        if short in swaps:
            return True
        if len(right) >= 5 and abs(len(short) - len(right)) <= 1 and _one_edit(short, right):
            return True
    return False


def _one_edit(a: str, b: str) -> bool:
    """Whether one letter added, left out or replaced makes one of the other; not a plural."""
    if len(a) > len(b):
        a, b = b, a
    if a == b or b == a + "s":
        return False
    i = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), len(a))
    return a[i + 1 :] == b[i + 1 :] if len(a) == len(b) else a[i:] == b[i + 1 :]


def listed(names: Iterable[str]) -> str:
    """Returns at most twelve names, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return ", ".join(names[:12]) + more


def refuse_control_characters(name: str, file: str, what: str) -> None:
    """Raises `UserError` for a name with control characters: printed, they steer the terminal."""
    if any(unicodedata.category(character) == "Cc" for character in name):
        raise UserError(f"{file}: {what} holds a control character: {name!r}; rename it")
