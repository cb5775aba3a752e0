"""Data as they are given in Python: a named source, the path of a file, or a table."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from trainable.cli.errors import UserError
from trainable.cli.paths import is_content
from trainable.data.file_types import is_table
from trainable.data.ingest.in_memory import arrow_table
from trainable.data.market import Market
from trainable.data.settings import DataSettings
from trainable.data.sources import market_from_frame

FRAME = "frame"  # the source that settings name where the data are a table


def named_source(data: object) -> dict[str, str]:
    """Returns the setting that names the data, `data.path` or `data.source`; none of a table.

    Raises:
        UserError: it is the content of a file.
    """
    if isinstance(data, str) and is_content(data):
        raise UserError(
            f"data= is a text of {len(data):,} characters, no path and no name; of the content "
            "of a CSV file, give data=pd.read_csv(io.StringIO(text))"
        )
    if not isinstance(data, str | Path):
        return {}
    path = isinstance(data, Path) or is_table(data) or bool(Path(data).suffix) or "/" in data
    return {"data.path" if path else "data.source": str(data)}


def table_loader(data: object, settings: DataSettings) -> Callable[[], Market] | None:
    """Returns what makes a market of a table; None where the settings name the data."""
    if data is None or isinstance(data, str | Path):
        return None
    return partial(market_from_frame, arrow_table(data), settings)
