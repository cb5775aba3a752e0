"""Leases in the database of a study: which drivers are alive, and which of them has the turn.

They are one small table beside Optuna's. The clocks of the drivers' machines need not agree, since
only the database compares times.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from search.study.database import Database

TABLE = sa.Table(
    "asharpe_leases",
    sa.MetaData(),
    sa.Column("study_id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(100), primary_key=True),
    sa.Column("owner", sa.String(100), nullable=False),
    sa.Column("who", sa.String(300), nullable=False),
    sa.Column("expires", sa.Double, nullable=False),
)
# Not now(): that is when the transaction began, and it may have waited for a row since.
NOW = sa.literal_column("extract(epoch from clock_timestamp())", sa.Double)


@dataclass(frozen=True)
class Lease:
    """A lease that has not expired.

    Attributes:
        owner: the driver that holds it.
        who: process and host of that driver, in words.
    """

    owner: str
    who: str


class Leases:
    """The leases of one study in PostgreSQL.

    Args:
        database: that holds it.
        study_id: of the study.

    Every method raises `UserError` where the database does not answer.
    """

    def __init__(self, database: Database, study_id: int) -> None:
        self._database = database
        self._of_study = TABLE.c.study_id == study_id
        self._study_id = study_id
        with database.answering():
            TABLE.create(database.engine, checkfirst=True)

    def take(self, name: str, owner: str, who: str, seconds: float) -> bool:
        """Takes a lease that is free, expired or the owner's already; says whether it did."""
        values = {"owner": owner, "who": who, "expires": NOW + seconds}
        row = insert(TABLE).values(study_id=self._study_id, name=name, **values)
        taken = row.on_conflict_do_update(
            index_elements=[TABLE.c.study_id, TABLE.c.name],
            set_=values,
            where=(TABLE.c.owner == owner) | (TABLE.c.expires < NOW),
        ).returning(TABLE.c.owner)
        with self._connected() as connection:
            return connection.execute(taken).first() is not None

    def renew(self, owner: str, seconds: float) -> None:
        """Renews all leases of an owner, also those that have expired and nobody took."""
        renewed = sa.update(TABLE).where(self._of_study, TABLE.c.owner == owner)
        with self._connected() as connection:
            connection.execute(renewed.values(expires=NOW + seconds))

    def drop(self, owner: str, name: str | None = None) -> None:
        """Gives up one lease of an owner, or all."""
        dropped = sa.delete(TABLE).where(self._of_study, TABLE.c.owner == owner)
        if name is not None:
            dropped = dropped.where(TABLE.c.name == name)
        with self._connected() as connection:
            connection.execute(dropped)

    def held(self) -> dict[str, Lease]:
        """Returns the leases that have not expired, by name."""
        leases = sa.select(TABLE.c.name, TABLE.c.owner, TABLE.c.who)
        with self._connected() as connection:
            rows = connection.execute(leases.where(self._of_study, TABLE.c.expires >= NOW)).all()
        return {row.name: Lease(row.owner, row.who) for row in rows}

    def clear(self) -> None:
        """Deletes all leases of the study."""
        with self._connected() as connection:
            connection.execute(sa.delete(TABLE).where(self._of_study))

    @contextmanager
    def _connected(self) -> Iterator[sa.Connection]:
        with self._database.answering(), self._database.engine.begin() as connection:
            yield connection
