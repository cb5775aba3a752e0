"""What `python -m search.confirm` can be told."""

from dataclasses import dataclass, fields

from trainable.cli.errors import UserError
from trainable.data.folds.folds import FoldSettings

MOST_COMBINATORIAL = 500  # folds of groups


@dataclass(frozen=True)
class ConfirmSettings:
    """The settings of one confirmation."""

    top: int = 5  # finalists of the ranking that are trained again
    seeds: int = 3  # new seeds of each
    walk: int = 5  # walk-forward folds, the validation part as the last; 0: none
    groups: int = 6  # of bars for combinatorial folds; 0: none of these
    test_groups: int = 2  # scored in each combinatorial fold
    symbols: bool = True  # hold out halves of the symbols
    gate: bool = True  # open the gate in the end
    workers: int | None = None  # processes that train at once; unset: one a core, or one on a GPU

    @property
    def folds(self) -> FoldSettings:
        """How many folds of each kind."""
        return FoldSettings(self.walk, self.groups, self.test_groups, self.symbols)

    @property
    def words(self) -> list[str]:
        """What to type for them: those other than the usual ones."""
        given = {each.name: getattr(self, each.name) for each in fields(self)}
        usual = {each.name: each.default for each in fields(self)}
        return [f"{key}={value}".lower() for key, value in given.items() if value != usual[key]]


def check(settings: ConfirmSettings) -> ConfirmSettings:
    """Returns the settings; raises `UserError` with the key, the value and what would work."""
    least = {"top": 1, "seeds": 1, "walk": 0, "groups": 0, "test_groups": 1}
    for key, smallest in least.items():
        if getattr(settings, key) < smallest:
            raise UserError(f"{key}={getattr(settings, key)}: expected at least {smallest}")
    if settings.workers is not None and settings.workers < 1:
        raise UserError(f"workers={settings.workers}: expected at least 1")
    if settings.groups and not settings.test_groups < settings.groups:
        raise UserError(
            f"test_groups={settings.test_groups} of groups={settings.groups} leave nothing to "
            f"learn from; groups={settings.test_groups + 4} works"
        )
    if settings.groups and settings.folds.combinatorial > MOST_COMBINATORIAL:
        raise UserError(
            f"groups={settings.groups} test_groups={settings.test_groups} make "
            f"{settings.folds.combinatorial:,} folds; groups=6 test_groups=2 makes 15"
        )
    return settings
