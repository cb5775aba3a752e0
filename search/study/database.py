"""A database that holds studies, as Optuna writes it; says in one line when it does not answer."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import optuna
import sqlalchemy as sa
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage, get_storage
from sqlalchemy.exc import SQLAlchemyError

from search.settings.masking import mask
from trainable.cli.errors import UserError

ANSWER_S = 10  # seconds in which a database must answer
CONNECTING = {"connect_timeout": ANSWER_S}
# Without these a connection that was cut without a word would be waited for.
PROBING = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
PATIENT = {  # drivers that would wait for minutes
    "psycopg2": {**CONNECTING, **PROBING, "tcp_user_timeout": 20_000},
    "psycopg": {**CONNECTING, **PROBING, "tcp_user_timeout": 20_000},
    "mysqldb": CONNECTING,
    "pymysql": CONNECTING,
}


LOCKED = "the database is locked: another process is writing to it"


class SchemaError(UserError):
    """The tables of a database are those of another version of Optuna."""


def is_locked(error: BaseException) -> bool:
    """Says whether an SQLite file is locked by another process."""
    found = _of_sqlite(error)
    return found is not None and "locked" in str(found)


def fault_of(error: BaseException) -> str:
    """Returns what is wrong: SQLite's words, or the kind of error of a server.

    The words of a server may repeat its URL with the password.
    """
    found = _of_sqlite(error)
    return str(found) if found is not None else type(error.__cause__ or error).__name__


def _of_sqlite(error: BaseException) -> sqlite3.Error | None:
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, sqlite3.Error):
        cause = getattr(cause, "orig", None) or cause.__cause__
    return cause


class Database:
    """Optuna's storage in a database: all of its methods, and an error for the person.

    Trials that have ended are read once.

    Args:
        url: of the database.

    Attributes:
        engine: of SQLAlchemy.
    """

    def __init__(self, url: str) -> None:
        driver = sa.make_url(url).get_driver_name()
        arguments: dict[str, Any] = {"connect_args": PATIENT.get(driver, {})}
        if driver in PATIENT:
            arguments["pool_pre_ping"] = True  # a server that was restarted meanwhile
        try:
            backend = RDBStorage(url, engine_kwargs=arguments)
        except RuntimeError as error:  # so Optuna says it
            raise _other_schema(url, error) from error
        self.engine = backend.engine
        self._url = url
        self._storage = get_storage(backend)

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Turns what a database raises that does not answer into a `UserError`."""
        try:
            yield
        except (SQLAlchemyError, StorageInternalError) as error:
            kept = "what was reported is kept: go on with resume=true when"
            if is_locked(error):
                raise UserError(
                    f"storage={mask(self._url)}: {LOCKED}; {kept} it is free"
                ) from error
            raise UserError(
                f"storage={mask(self._url)}: the database does not answer "
                f"({fault_of(error)}); {kept} it is back"
            ) from error

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._storage, name)
        return self._guarded(found) if callable(found) else found

    def _guarded(self, method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def call(*args: Any, **words: Any) -> Any:
            with self.answering():
                return method(*args, **words)

        return call


def _other_schema(url: str, error: RuntimeError) -> SchemaError:
    where = f"storage={mask(url)}: its tables are those of"
    if "storage upgrade" in str(error):
        return SchemaError(
            f"{where} an older Optuna; make a copy of them, then run: "
            f"optuna storage upgrade --storage {mask(url)}"
        )
    return SchemaError(
        f"{where} another Optuna than the {optuna.__version__} that is installed; install the "
        "one that wrote them, or choose another storage"
    )
