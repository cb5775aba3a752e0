"""Numbers and values in the words that a person uses."""

from collections.abc import Sequence


def counted(number: int, one: str, many: str | None = None) -> str:
    """Returns a number of things in words: `1 trial`, `1,200 trials`.

    Args:
        number: of the things.
        one: the word for one of them.
        many: the word for several; None: `one` with an `s`.
    """
    word = one if number == 1 else many or f"{one}s"
    return f"{number:,} {word}"


def signed(value: float) -> str:
    """Returns a ratio with two digits and a real minus: `−0.15`."""
    return f"{value:.2f}".replace("-", "−")


def listed(words: Sequence[str]) -> str:
    """Returns `a`, `a and b` or `a, b and c`."""
    *before, last = words
    return f"{', '.join(before)} and {last}" if before else last


def duration(seconds: float) -> str:
    """Returns a length of time in words: `45 s`, `12 min`, `3 h 20 min`, `2 d 4 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    days, hours = divmod(round(seconds / 3600), 24)
    return f"{days} d {hours} h"


def microseconds(value: float) -> str:
    """Returns a short time in words, of two digits at least: `0.38 µs`, `82 µs`, `61 ms`."""
    if value < 10:
        return f"{value:.2g} µs"
    return f"{value:,.0f} µs" if value < 1e4 else f"{value / 1e3:,.0f} ms"


def shown(value: object, most: int = 60) -> str:
    """Returns a value as Python writes it, in one line of at most so many characters.

    Of a URL that is too long nothing is left but its scheme: half a URL may end within a password.
    """
    line = " ".join(repr(value).split())
    if len(line) <= most:
        return line
    head, scheme, _ = line[: most - 1].partition("://")
    return f"{head}{scheme}…"
