"""How many workers machines hold: each on one machine, each share of a GPU on one GPU."""

import pytest

from search.backend.resources import room

GPU = {"CPU": 8.0, "GPU": 2.0}


@pytest.mark.parametrize(
    ("machines", "cpus", "gpus", "most", "expected"),
    [
        ([{"CPU": 8.0}], 1.0, 0.0, None, 8),
        ([{"CPU": 8.0}], 3.0, 0.0, None, 2),
        ([{"CPU": 8.0}], 1.0, 0.0, 5, 5),
        ([{"CPU": 8.0, "GPU": 1.0}], 1.0, 0.25, None, 4),
        ([{"CPU": 8.0}], 0.0, 0.0, None, 1),  # nothing bounds them
        ([{"CPU": 1.0}], 2.0, 0.0, None, 1),  # it may grow
        ([], 1.0, 0.0, 3, 1),
        ([{"CPU": 3.0}, {"CPU": 3.0}], 2.0, 0.0, None, 2),  # not three
        ([GPU, GPU, {"CPU": 64.0}], 1.0, 0.4, None, 8),  # two on each GPU, none elsewhere
        ([GPU, {"CPU": 1.0, "GPU": 8.0}], 1.0, 1.0, None, 3),
        ([GPU], 0.1, 0.1, None, 20),
        ([{"CPU": 8.0, "GPU": 3.0}], 1.0, 2.0, None, 1),
    ],
)
def test_workers_fit_into_what_is_there(
    machines: list[dict[str, float]], cpus: float, gpus: float, most: int | None, expected: int
) -> None:
    assert room(machines, cpus, gpus, most) == expected
