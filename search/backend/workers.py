"""What a worker is given, where its trials' files are, and when failing workers end a search."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from search.settings.masking import mask
from search.settings.settings import SearchSettings
from trainable.cli.errors import NameTakenError, UserError
from trainable.io.file_store import HERE, FileStore, GoneError, NotWrittenError
from trainable.parts.files import PartsFile

NO_BUCKET = "NO_SUCH_BUCKET"  # in what pyarrow says
NOT_SEEN = "NotSeenError"  # of trainable.trial: the folder of the trials' files is not seen
MOST_FAILURES = 8  # in a row: machines that are lost as a worker starts are fewer


@dataclass(frozen=True)
class WorkerSpec:
    """What each worker of a search is given.

    Attributes:
        files: the trials' checkpoints and models, a folder each.
        mark: a file there, by which a worker on another machine knows that it sees the folder.
        rungs: epochs at which it returns.
        cpus: CPU cores.
        gpus: share of a GPU.
        patience_s: seconds without a sign of life after which it hangs, and is ended.
        save_every: optimizer steps between two checkpoints; None: as the size of models asks.
        in_rounds: workers wait for each other after each epoch.
        parts: files of the person's own parts.
    """

    files: FileStore
    mark: str
    rungs: tuple[int, ...]
    cpus: float
    gpus: float
    patience_s: float
    save_every: int | None
    in_rounds: bool = False
    parts: tuple[PartsFile, ...] = ()


def mark_of(driver: str) -> str:
    """Returns the name of the file that marks the trials' folder while a driver runs."""
    return f"{HERE}-{driver}"


def trial_files(settings: SearchSettings) -> FileStore:
    """Returns where the files of a search's trials are."""
    return _run_files(settings).within("trials")


def _run_files(settings: SearchSettings) -> FileStore:
    if settings.storage_path is None:
        return FileStore.of(settings.folder)
    return FileStore.of(settings.storage_path).within(settings.run_name)


@contextmanager
def open_trial_files(
    settings: SearchSettings, driver: str, dead: Sequence[str] = (), alone: bool = False
) -> Iterator[FileStore]:
    """Opens the folder of the trials' files, and marks it while the search runs.

    Args:
        settings: of the search.
        driver: that opens it.
        dead: drivers whose marks are removed: they were killed before their search began.
        alone: whether the folder must be that of no other run.

    Raises:
        NameTakenError: another run of this name has its trials' files there.
        UserError: nothing can be written there.
    """
    run, files, name = _run_files(settings), trial_files(settings), mark_of(driver)
    made = [] if settings.storage_path is None else run.missing()
    try:
        _mark(files.with_few_tries(), name)
        for other in dead:
            files.remove(mark_of(other))
    except OSError as error:
        said = str(error).partition("\n")[0]
        where = mask(settings.storage_path or str(files))
        raise UserError(f"storage_path={where}: cannot be written ({mask(said)})") from error
    try:
        if alone and not files.is_empty(but=name):
            raise NameTakenError(f"{mask(str(files))} has files of another run of this name")
        yield files
    finally:
        with suppress(OSError):  # the search has ended, and says how
            files.remove(name)
            files.prune()
            if settings.storage_path is not None:
                run.prune()
            for folder in made:  # a search that leaves nothing leaves no folders for it
                folder.prune()


@contextmanager
def store_answers(files: FileStore) -> Iterator[None]:
    """Turns an OSError of the `with` block into a `UserError`: the store does not answer."""
    try:
        yield
    except OSError as error:
        said = mask(str(error).partition("\n")[0])
        raise UserError(
            f"{files}: models cannot be read or written ({said}); what was reported is kept: go "
            "on with resume=true when it is back"
        ) from error


def clear_marks(files: FileStore, driver: str) -> None:
    """Removes the marks of drivers that died; `driver` alone is still there."""
    for name in files.names():
        if name.startswith(HERE) and name != mark_of(driver):
            files.remove(name)


def check_store_answers(text: str) -> None:
    """Raises `UserError` where a worker failed since the store of its files does not answer.

    Args:
        text: the worker's traceback.
    """
    last = text.strip().rpartition("\n")[2]
    if GoneError.__name__ in last:
        raise UserError(
            f"storage_path does not answer ({mask(last.partition(': ')[2])}); what was reported is "
            "kept: go on with resume=true when it is back"
        )


class StartFailures:
    """Counts the workers that failed in a row before they trained anything."""

    def __init__(self) -> None:
        self._failed = 0

    def reset(self) -> None:
        """Notes that a worker has trained."""
        self._failed = 0

    def add(self, empty: bool, text: str) -> None:
        """Notes that a worker has failed.

        Args:
            empty: it had no members yet.
            text: its traceback.

        Raises:
            UserError: it does not see, or cannot write, the trials' files, or no worker can start.
        """
        last = text.strip().rpartition("\n")[2]
        if NotWrittenError.__name__ in last:
            raise UserError(last.partition(": ")[2])
        if NOT_SEEN in last:
            raise UserError(
                f"{last.partition(': ')[2]}: the checkpoints of its trials would be lost; "
                "storage_path= of a folder that all machines share, or of s3://…, works"
            )
        self._failed += empty
        if self._failed >= MOST_FAILURES:
            help = "fix that and go on with resume=true"
            if UserError.__name__ in last:  # all that a worker runs of the person: files of parts
                last = last.partition(": ")[2]
                help = (
                    "where the machines lack what it needs, install it there and go on with "
                    "resume=true; a file of parts that is changed needs a new run, name=…"
                )
            raise UserError(
                f"{MOST_FAILURES} workers in a row ended before they trained anything ({last}); "
                + help
            )


def _mark(files: FileStore, name: str) -> None:
    try:
        files.write(name, b"")
    except OSError as error:
        if NO_BUCKET not in str(error):
            raise
        files.make_bucket()
        files.write(name, b"")
