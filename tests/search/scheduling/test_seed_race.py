"""Who gets more seeds: finalists made by hand."""

import numpy as np
import pytest

from analysis.statistics.shrinkage import PRIOR_SHARE
from search.scheduling.seed_race import REACH, Finalist, seeds_to_begin

ERROR = 0.5  # of one Sharpe ratio: 0.2 between seeds before any is known, a reach of 0.1 each


def finalist(number: int, *sharpes: float, training: int = 0) -> Finalist:
    return Finalist(number, sharpes, len(sharpes) + training, training)


def test_who_is_out_of_reach_gets_no_seed() -> None:
    assert pytest.approx(0.1) == PRIOR_SHARE * REACH * ERROR
    found = seeds_to_begin([finalist(0, 1.0), finalist(1, 0.82), finalist(2, 0.78)], 8, ERROR)
    assert found == {0: 2, 1: 2}


def test_each_round_trebles_the_seeds_up_to_the_limit() -> None:
    for most, begun, more in ((8, 1, 2), (8, 3, 5), (8, 8, 0), (3, 1, 2), (2, 1, 1), (1, 1, 0)):
        found = seeds_to_begin([finalist(0, *[1.0] * begun)], most, ERROR)
        assert found == ({0: more} if more else {}), (most, begun)


def test_the_one_that_leads_gets_all_its_seeds_also_when_nobody_challenges() -> None:
    field = [finalist(0, 2.0, 2.1), finalist(1, 0.1), finalist(2, -0.3)]
    assert seeds_to_begin(field, 4, ERROR) == {0: 2}


def test_nothing_is_decided_on_a_finalist_while_its_seeds_train() -> None:
    field = [finalist(0, 1.0, training=1), finalist(1, 0.95)]
    assert seeds_to_begin(field, 4, ERROR) == {1: 2}


def test_one_whose_seed_failed_cannot_win() -> None:
    field = [Finalist(0, (3.0,), 2, failed=True), finalist(1, 0.5), Finalist(2, (), 1, failed=True)]
    assert seeds_to_begin(field, 4, ERROR) == {1: 2}
    assert seeds_to_begin(field[:1], 4, ERROR) == {}


def test_seeds_that_differ_much_widen_the_reach() -> None:
    """Once the seeds of the leader are 2 apart, nobody is out of reach at 0.78 of 1."""
    near = [finalist(0, 0.0, 2.0), finalist(1, 0.78)]
    assert 1 in seeds_to_begin(near, 8, ERROR)


def test_a_lucky_single_seed_does_not_lead_before_a_mean_of_many() -> None:
    """Eight seeds of 1.0 lead before one of 1.05, which is shrunk further towards the others."""
    rng = np.random.default_rng(0)
    many = [finalist(n, *(1.0 - 0.2 * n + 0.2 * rng.standard_normal(8))) for n in range(4)]
    field = [*many, finalist(9, 1.05)]
    assert seeds_to_begin(field, 8, ERROR) == {9: 2}, "it challenges; the leader has its eight"


def default(number: int, *sharpes: float, begun: int = 0, failed: bool = False) -> Finalist:
    begun = max(begun, len(sharpes))
    training = begun - len(sharpes)
    return Finalist(number, sharpes, begun, training, failed=failed, reference=True)


def test_the_default_gets_as_many_seeds_as_the_leader_without_a_chance() -> None:
    lost = default(5, -3.0)
    assert seeds_to_begin([finalist(0, 1.0), lost], 8, ERROR) == {0: 2, 5: 2}
    assert seeds_to_begin([finalist(0, 1.0, 1.0, 1.0), default(5, -3.0, -3.0, -3.0)], 8, ERROR) == {
        0: 5, 5: 5,
    }  # fmt: skip
    assert seeds_to_begin([finalist(0, 1.0), lost], 2, ERROR) == {0: 1, 5: 1}
    assert seeds_to_begin([finalist(0, 1.0), lost], 1, ERROR) == {}


def test_a_default_that_ends_late_catches_up_with_the_leader() -> None:
    ended = finalist(0, *[1.0] * 8)
    assert seeds_to_begin([ended, default(5, -3.0)], 8, ERROR) == {5: 7}
    assert seeds_to_begin([ended, default(5, *[-3.0] * 8)], 8, ERROR) == {}
    training = finalist(0, 1.0, training=2)
    assert seeds_to_begin([training, default(5, -3.0)], 8, ERROR) == {5: 2}


def test_a_default_that_still_trains_has_the_seeds_of_the_leader_beside_it() -> None:
    still = Finalist(5, (), begun=1, reference=True)
    assert seeds_to_begin([finalist(0, 1.0), still], 8, ERROR) == {0: 2, 5: 2}
    assert seeds_to_begin([still], 8, ERROR) == {}


def test_seeds_of_the_default_that_still_train_hold_nothing_up() -> None:
    ended = finalist(0, 1.0, 1.1, 0.9)
    assert seeds_to_begin([ended, default(5, -3.0, begun=3)], 8, ERROR) == {0: 5, 5: 5}


def test_a_default_with_a_chance_races_as_any_other() -> None:
    others = [finalist(0, 1.0), finalist(1, 0.85)]
    assert seeds_to_begin([*others, default(5, 0.9)], 8, ERROR) == {0: 2, 1: 2, 5: 2}
    assert seeds_to_begin([*others, default(5, 1.1)], 8, ERROR) == {0: 2, 5: 2}


def test_a_default_that_failed_gets_no_seed() -> None:
    for gone in (default(5, 0.1, begun=2, failed=True), default(5, failed=True)):
        assert seeds_to_begin([finalist(0, 1.0), gone], 8, ERROR) == {0: 2}


def test_of_many_that_may_win_the_first_eight_race() -> None:
    alike = [finalist(n, 1.0 + n / 1e4) for n in range(30)]
    assert seeds_to_begin(alike, 3, ERROR) == dict.fromkeys(range(29, 21, -1), 2)
    done = [finalist(n, *[1.0 + n / 1e4] * 3) for n in range(22, 30)]
    assert seeds_to_begin([*alike[:22], *done], 3, ERROR) == {}
    with_default = [*alike[:29], Finalist(29, (1.0029,), 1, reference=True)]
    first = seeds_to_begin(with_default, 3, ERROR)
    assert first == dict.fromkeys([*range(21, 29), 29], 2), "the default is none of the eight"
    then = [
        Finalist(one.number, one.sharpes, 1 + first.get(one.number, 0), first.get(one.number, 0),
                 reference=one.reference)
        for one in with_default
    ]  # fmt: skip
    assert seeds_to_begin(then, 3, ERROR) == {}
    worse = [finalist(n, 1.0, 0.7, 0.7) for n in range(22, 30)]
    assert seeds_to_begin([*alike[:22], *worse], 3, ERROR) == {21: 2}, "whoever leads"


def test_a_race_ends() -> None:
    rng = np.random.default_rng(1)
    truth = rng.normal(0.5, 0.3, 20)
    seeds = [[float(t + 0.2 * rng.standard_normal())] for t in truth]
    for _ in range(10):
        field = [finalist(n, *each) for n, each in enumerate(seeds)]
        more = seeds_to_begin(field, 8, ERROR)
        if not more:
            break
        for n, count in more.items():
            seeds[n] += [float(truth[n] + 0.2 * rng.standard_normal()) for _ in range(count)]
    counts = [len(each) for each in seeds]
    assert max(counts) == 8
    assert sum(counts) < 90, "eight of each were 160"
    assert min(counts) == 1
