"""What the workers of a search are, and where they keep what only they have."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from search.masking import mask
from search.settings import SearchSettings
from trainable.errors import UserError
from trainable.place import HERE, Place


@dataclass(frozen=True)
class Workers:
    """What each worker of a search is given.

    Attributes:
        place: of the trials' checkpoints and models, a folder each.
        rungs: epochs at which it returns.
        cpus: CPU cores.
        gpus: share of a GPU.
        patience_s: without a sign of life for so long it hangs, and ends.
        save_every: optimizer steps between two checkpoints; None: as the size of models asks.
    """

    place: Place
    rungs: tuple[int, ...]
    cpus: float
    gpus: float
    patience_s: float
    save_every: int | None


@contextmanager
def open_place(settings: SearchSettings) -> Iterator[Place]:
    """Opens the place of the trials' files, and marks it while the search runs.

    By the mark a worker on another machine knows that it sees the same place.

    Raises:
        UserError: nothing can be written there.
    """
    if settings.storage_path is None:
        place = Place.of(settings.folder)
    else:
        place = Place.of(settings.storage_path).within(settings.run_name)
    place = place.within("trials")
    try:
        place.write(HERE, b"")
    except OSError as error:
        said = str(error).partition("\n")[0]
        where = mask(settings.storage_path or str(place))
        raise UserError(f"storage_path={where}: cannot be written ({mask(said)})") from error
    try:
        yield place
    finally:
        with suppress(OSError):  # what is left of it does no harm
            place.remove(HERE)
