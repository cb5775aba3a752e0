"""What has no objective teaches the sampler nothing, and passes no rung: it is not 0."""

from search.pruning.asha import Rungs
from search.study.study import SearchStudy
from tests.fixtures.curves import shown
from tests.fixtures.rigs import space

VALUES = {0: -5.0, 1: -4.0, 2: -3.0, 3: -2.0, 4: None, 5: -1.0}


def test_it_stays_below_every_cutoff() -> None:
    rungs = Rungs((1, 4), reduction_factor=4)
    found = rungs.judge(1, shown(VALUES))
    assert [n for n, verdict in found.items() if verdict.ends] == [0, 1, 2, 4]
    assert found[4].evidence["value"] is None
    assert rungs.states()[0].count == 5


def test_a_finalist_without_one_is_told_as_no_value() -> None:
    study = SearchStudy.create(None, "run", seed=0)
    for value in (None, -1.0):
        number = study.ask(space).number
        study.finish(number, "COMPLETE", "completed", value=value)
    rows = study.rows()
    assert [(row.state, row.value) for row in rows] == [("COMPLETE", None), ("COMPLETE", -1.0)]
