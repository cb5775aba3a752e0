"""A database that holds studies, as Optuna writes it; says in one line when it does not answer."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

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
        backend = RDBStorage(url, engine_kwargs=arguments)
        self.engine = backend.engine
        self._url = url
        self._storage = get_storage(backend)

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Turns what a database raises that does not answer into a `UserError`."""
        try:
            yield
        except (SQLAlchemyError, StorageInternalError) as error:
            cause = error.__cause__ or error
            raise UserError(
                f"storage={mask(self._url)}: the database does not answer "
                f"({type(cause).__name__}); what was reported is kept: go on with resume=true "
                "when it is back"
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
