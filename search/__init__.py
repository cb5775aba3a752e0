"""A search: proposes configurations, trains them, stops the weak ones, records everything.

asharpe.py   the console script: one command line for everything
commands.py  its table of commands, also of other packages
completion.py  what a shell completes on a TAB
run.py       the command: reads as a table of contents of the whole search
api.py       `launch(...)`: a search from Python
status.py    the command that says how a run stands
placebo.py   the command that searches moved labels, to see what luck finds
grafana.py   the command that puts our dashboard beside those of a Ray that runs already
confirm.py   the command that trains finalists again, on folds, and opens the gate
refit.py     the command that trains the winner again, on later dates
holdout.py   the command that opens gate and sealed test, for the winner alone
winner/      the winner of a run that has ended: trained again, tested
confirmation/  finalists on folds that did not choose them; the gate, opened once
session/     one search, from its plan to its ranking; resume and interrupts
planning/    what a search will do, checked before it starts
backend/     where trials train: Ray Tune, clusters, GPUs, security
monitor/     what a person sees of a search
scheduling/  which trial trains in which slot, and what happens after each of its reports
pruning/     the rules that stop a weak trial: ASHA, flat, frozen
run_folder/  the files of `runs/NAME/`
study/       the durable record of every trial
sampler/     which configuration to try next
space/       search spaces: loaded, checked, parameters held fixed
settings/    the settings of a search, and the masking of secrets
"""

import sys

if sys.argv[:1] == ["-m"] and not sys.flags.safe_path:  # by `python -m`, while it looks for us
    _here, sys.path[0] = sys.path[0], __file__.rpartition("/search/")[0]
    from trainable.cli.import_path import put_last

    put_last(_here)

from importlib.util import find_spec
from typing import Any

__all__ = ["confirm_run", "launch"]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    """Loads these when they are asked for, so that importing a part does not import everything."""
    if name == "launch":
        _check_not_hidden()
        from search.api import launch

        return launch
    if name == "confirm_run":
        _check_not_hidden()
        from search.confirm import confirm_run

        return confirm_run
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _check_not_hidden() -> None:
    """Raises ImportError where a file of the person takes the place of a package of ours."""
    root = __file__.rpartition("/search/")[0]
    for package in ("trainable", "analysis"):
        found = find_spec(package)
        origin = found.origin if found is not None else None
        if not (origin or "").startswith(f"{root}/"):
            where = origin or ", ".join(found.submodule_search_locations or ()) if found else root
            raise ImportError(
                f"{where} takes the place of the package {package!r} of this project: rename it, "
                "or start your program in another folder"
            )
