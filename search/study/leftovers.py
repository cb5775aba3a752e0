"""A study that a driver left which was killed before its search began."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from optuna.storages import BaseStorage


class Removable(Protocol):
    """A study that can be removed, with all that is its own."""

    def __init__(
        self, storage: BaseStorage, study_id: int, settings: Mapping[str, Any]
    ) -> None: ...
    def remove(self) -> None: ...  # noqa: D102


def remove_left_study(
    kind: type[Removable], backend: BaseStorage, name: str, gone: Sequence[str]
) -> bool:
    """Removes a study that a driver in `gone` has made, or was making; says whether it was one."""
    if not gone:
        return False
    study_id = backend.get_study_id_from_name(name)
    attrs = backend.get_study_user_attrs(study_id)
    settings = attrs.get("search")
    if settings is not None and settings.get("driver") in gone:
        kind(backend, study_id, settings).remove()
        return True
    if attrs or backend.get_all_trials(study_id, deepcopy=False):
        return False
    backend.delete_study(study_id)  # killed before it could sign it
    return True
