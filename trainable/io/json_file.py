"""Reading JSON of whatever origin: what is wrong with it, and where."""

import json
from pathlib import Path
from typing import Any

from trainable.cli.errors import UserError
from trainable.cli.json_text import loads

__all__ = ["loads", "read_json"]


def read_json(path: Path, shown: str, missing: str) -> Any:
    """Returns the content of a JSON file.

    Args:
        path: of the file.
        shown: how a message names it, such as `enqueue=FILE`.
        missing: what to say where there is none.

    Raises:
        UserError: there is no such file, it cannot be read, or it is not JSON.
    """
    try:
        return loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{shown}{missing}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{shown} cannot be read: {error}") from error
    except json.JSONDecodeError as error:
        raise UserError(f"{shown}:{error.lineno}: not JSON: {error.msg}") from error
    except ValueError as error:
        raise UserError(f"{shown}: not JSON: {error}") from error
