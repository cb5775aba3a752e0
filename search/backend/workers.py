"""What the workers of a search are, and where they keep what only they have."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from search.settings.masking import mask
from search.settings.settings import SearchSettings
from trainable.cli.errors import UserError
from trainable.io.file_store import HERE, FileStore, GoneError

NO_BUCKET = "NO_SUCH_BUCKET"  # in what pyarrow says


@dataclass(frozen=True)
class WorkerSpec:
    """What each worker of a search is given.

    Attributes:
        place: of the trials' checkpoints and models, a folder each.
        mark: a file there, by which a worker on another machine knows that it sees the same place.
        rungs: epochs at which it returns.
        cpus: CPU cores.
        gpus: share of a GPU.
        patience_s: without a sign of life for so long it hangs, and ends.
        save_every: optimizer steps between two checkpoints; None: as the size of models asks.
    """

    place: FileStore
    mark: str
    rungs: tuple[int, ...]
    cpus: float
    gpus: float
    patience_s: float
    save_every: int | None


def mark_of(driver: str) -> str:
    """Returns the name of the file that marks the place of the trials while a driver runs."""
    return f"{HERE}-{driver}"


@contextmanager
def open_place(
    settings: SearchSettings, driver: str, gone: Sequence[str] = ()
) -> Iterator[FileStore]:
    """Opens the place of the trials' files, and marks it while the search runs.

    Args:
        settings: of the search.
        driver: that opens it.
        gone: drivers whose marks go: they were killed before their search began.

    Raises:
        UserError: nothing can be written there.
    """
    if settings.storage_path is None:
        run = FileStore.of(settings.folder)
    else:
        run = FileStore.of(settings.storage_path).within(settings.run_name)
    place, name = run.within("trials"), mark_of(driver)
    try:
        _mark(place.with_few_tries(), name)
        for dead in gone:
            place.remove(mark_of(dead))
    except OSError as error:
        said = str(error).partition("\n")[0]
        where = mask(settings.storage_path or str(place))
        raise UserError(f"storage_path={where}: cannot be written ({mask(said)})") from error
    try:
        yield place
    finally:
        with suppress(OSError):  # the search has ended, and says how
            place.remove(name)
            place.prune()
            if settings.storage_path is not None:
                run.prune()


@contextmanager
def reaching(place: FileStore) -> Iterator[None]:
    """Turns what is raised where the place has gone meanwhile into a `UserError`."""
    try:
        yield
    except OSError as error:
        said = mask(str(error).partition("\n")[0])
        raise UserError(
            f"{place}: models cannot be read or written ({said}); what was reported is kept: go "
            "on with resume=true when it is back"
        ) from error


def clear_marks(place: FileStore, driver: str) -> None:
    """Removes the marks of drivers that died; `driver` alone is still there."""
    for name in place.names():
        if name.startswith(HERE) and name != mark_of(driver):
            place.remove(name)


def check_reached(text: str) -> None:
    """Raises UserError where a worker failed since the store of its files does not answer."""
    last = text.strip().rpartition("\n")[2]
    if GoneError.__name__ in last:
        raise UserError(
            f"storage_path does not answer ({mask(last.partition(': ')[2])}); what was reported is "
            "kept: go on with resume=true when it is back"
        )


def _mark(place: FileStore, name: str) -> None:
    try:
        place.write(name, b"")
    except OSError as error:
        if NO_BUCKET not in str(error):
            raise
        place.make_bucket()
        place.write(name, b"")
