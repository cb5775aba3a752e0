"""How many workers the machines of a cluster hold, and the settings needed while it has none."""

from collections.abc import Mapping, Sequence

from search.settings.settings import SearchSettings
from trainable.cli.errors import UserError
from trainable.io.file_store import FileStore

SLACK = 1e-9  # of rounding: ten tenths are one


def room(
    machines: Sequence[Mapping[str, float]], cpus: float, gpus: float, most: int | None
) -> int:
    """Returns how many workers of so many CPUs and GPUs these machines hold at once, at least one.

    Args:
        machines: the resources of each, as Ray calls them.
        cpus: of a worker.
        gpus: of a worker.
        most: workers at most; None: any number.
    """
    places = max(1, sum(fit(machine, cpus, gpus) for machine in machines))
    return places if most is None else min(places, most)


def fit(machine: Mapping[str, float], cpus: float, gpus: float) -> int:
    """Returns how many workers one machine holds; a share of a GPU is on one GPU."""
    fits = [int(machine.get("CPU", 0) / cpus + SLACK)] if cpus else []
    if gpus:
        there = machine.get("GPU", 0)
        fits.append(int(there / gpus + SLACK) if gpus >= 1 else int(there) * int(1 / gpus + SLACK))
    return min(fits, default=1)


def check_told(settings: SearchSettings, files: FileStore) -> None:
    """Raises UserError unless gpus_per_trial and storage_path are set, for machines to come."""
    none_yet = f"address={settings.address}: no machine there can train yet"
    if settings.gpus_per_trial is None:
        raise UserError(
            f"{none_yet}, so it must be said which are to come: gpus_per_trial=1 works, or "
            "gpus_per_trial=0 for machines without GPUs"
        )
    if settings.storage_path is None:
        raise UserError(
            f"{none_yet}, and those that come may not see {files}; storage_path= of a folder that "
            "all machines share, or of s3://…, works"
        )
