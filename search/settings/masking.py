"""Hides secrets wherever settings are printed or stored, and refuses them on a command line."""

import re
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from trainable.cli.errors import UserError

HIDDEN = "***"
# To the last @: a password may itself hold an @ that nobody has quoted. Also where the scheme is
# forgotten, `storage=user:password@host`.
IN_URL = re.compile(r"((?:://|=)[^:/@\s=]*:(?!//))(\S+)(?=@)", re.ASCII)
WORDS = (
    r"password|passwd|passphrase|pwd|token|secret|credential|signature|api_?key|access_?key|"
    r"account_?key|private_?key|\bsig"
)
# `key=value` in the query of a URL or in a connection string.
AS_VALUE = re.compile(rf"(\b\w*(?:{WORDS})\w*=)([^&\s;]+)", re.ASCII | re.IGNORECASE)
SCHEME = re.compile(r"([a-z0-9]+)(?:\+\w+)?://")
# Where the secret of a URL is read from, by its scheme.
SECRETS_OF = {
    "postgresql": "set PGPASSWORD, or write it to ~/.pgpass or the file that PGPASSFILE names",
    "mysql": "name a file of yours with it in the URL, as ?read_default_file=…",
    "s3": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "gs": "let GOOGLE_APPLICATION_CREDENTIALS name the file of your key",
    "": "give it to launch(…) from Python",
}


def mask(text: str) -> str:
    """Returns `text` with passwords in URLs and secret `key=value` parts hidden."""
    for pattern in (IN_URL, AS_VALUE):
        text = pattern.sub(lambda found: found[1] + HIDDEN, text)
    return text


def masked(value: Any) -> Any:
    """Returns a copy of nested dicts, lists and tuples with every text masked."""
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, dict):
        return {key: masked(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(masked(item) for item in value)
    return value


@contextmanager
def no_secret_told() -> Iterator[None]:
    """Hides secrets in what a `UserError` of the block says."""
    try:
        yield
    except UserError as error:
        said = str(error)
        if mask(said) == said:
            raise
        raise UserError(mask(said)) from None  # the first one would be printed beside it


def mask_tracebacks() -> None:
    """Hides secrets in the traceback of whatever ends this process."""

    def show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        sys.stderr.write(mask("".join(traceback.format_exception(kind, error, trace))))

    sys.excepthook = show


def refuse_secrets(argv: Sequence[str]) -> None:
    """Refuses a command line with a secret in a URL: everybody on the machine can read it.

    Raises:
        UserError: names the key, and where the secret is read from instead.
    """
    for word in argv:
        key, _, _ = word.partition("=")
        if mask(word) != word and ("://" in word or key in ("storage", "storage_path")):
            scheme = SCHEME.search(word)
            remedy = SECRETS_OF.get(scheme[1] if scheme else "", SECRETS_OF[""])
            raise UserError(
                f"{mask(word)} holds a secret, which a command line shows to everybody on this "
                f"machine; leave it out, and {remedy}"
            )
