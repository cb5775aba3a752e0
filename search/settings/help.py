"""The help of a search: every key, or a group of keys that fits a screen."""

from collections.abc import Sequence

from search.settings.reading import SHORT
from search.settings.settings import SearchSettings
from trainable.cli.answers import JSON_LINE
from trainable.cli.errors import look_up
from trainable.cli.options import Setting, describe, print_help, print_settings, print_usage
from trainable.cli.started import started_by_script

USAGE = "usage: python -m search.run space=NAME [key=value …]"
AS_JSON = Setting("--json", "", "", JSON_LINE)
ALL, MOST_USED = "all", "most used"
GROUPS: dict[str, tuple[str, tuple[str, ...]]] = {
    MOST_USED: (
        "what most searches set",
        (
            "space", "data", "data.path", "data.horizon", "trials", "epochs", "seed", "name",
            "resume", "time_budget_s", "fix.KEY", "placebo", "parts", "dry_run",
        ),
    ),
    "data": (
        "what is read, and which dates and symbols are used",
        (
            "data", "data.source", "data.path", "data.features", "data.target", "data.groups",
            "data.symbols", "data.holdout_symbols", "data.fraction", "data.valid_from",
            "data.gate_from", "data.test_from",
        ),
    ),
    "trading": (
        "what is traded, and what that costs",
        (
            "data.horizon", "data.lag", "data.returns", "data.cost_bps", "data.overnight",
            "data.delisting_return", "data.periods_per_year",
        ),
    ),
    "synthetic": (
        "the generated market",
        (
            "data.synthetic.signal", "data.synthetic.symbols", "data.synthetic.bars",
            "data.synthetic.frequency", "data.synthetic.seed", "data.synthetic.bad_ticks",
        ),
    ),
    "search": (
        "how many trials, how long, who suggests and who stops them",
        (
            "space", "trials", "epochs", "steps_per_epoch", "seed", "deterministic",
            "time_budget_s", "patience_trials", "objective", "sampler", "pruning", "rungs",
            "reduction_factor", "enqueue", "fix.KEY", "parts",
        ),
    ),
    "trust": (
        "what the winner is held against",
        ("finalist_seeds", "try_default", "regret", "placebo", "tries.prior"),
    ),
    "run": (
        "the run folder, and where trials and study are kept",
        (
            "name", "runs_dir", "resume", "dry_run", "report", "storage", "storage_path",
            "checkpoint_steps",
        ),
    ),
    "machines": (
        "workers, GPUs, clusters, Ray's dashboard",
        (
            "max_concurrent", "cohort", "cpus_per_trial", "gpus_per_trial", "patience_s",
            "address", "open_cluster", "dashboard",
        ),
    ),
}  # fmt: skip


def help_for_search(argv: Sequence[str] = ()) -> None:
    """Prints the help that a command line asks for.

    `--help=all` lists every key with its meaning and default, `--help GROUP` those of a group.
    `--help` lists every key of `python -m search.run`; of the console script the most used keys.

    Args:
        argv: the command line.

    Raises:
        UserError: there is no such group.
    """
    named = [word for word in argv if "=" not in word and not word.startswith("-")]
    named = [word for word in named if word != "help"]
    if f"--help={ALL}" in argv or named[:1] == [ALL]:
        help_for_all()
    elif named:
        _print_group(named[0])
    elif started_by_script():
        _print_group(MOST_USED)
    else:
        help_for_all()


def help_for_all() -> None:
    """Prints every key of a search with its meaning and default."""
    print_help(SearchSettings, USAGE, notes=[AS_JSON, SHORT])


def _print_group(name: str) -> None:
    line, keys = look_up(GROUPS, name, "group of keys")
    known = {row.key: row for row in [SHORT, *describe(SearchSettings)]}
    print_usage(USAGE)
    print()
    if name != MOST_USED:
        print(f"{name}: {line}")
    rows = [known[key] for key in keys]
    if name == MOST_USED:
        others = ", ".join(other for other in GROUPS if other != MOST_USED)
        further = Setting("--help GROUP", "", "", f"further keys, of one group: {others}")
        rows += [further, Setting(f"--help={ALL}", "", "", "every key"), AS_JSON]
    print_settings(rows)
