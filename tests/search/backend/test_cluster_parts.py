"""Parts of one's own on a cluster: its machines see the text alone, not the person's files."""

from pathlib import Path

import pytest

from tests.fixtures.nodes import TOKEN, cluster, environment
from tests.fixtures.parts import QUICK, WORDS, write
from tests.fixtures.searches import check_whole, command, descendants, started
from trainable import predict

WORKER = "ray::ResourceTrainable"


@pytest.mark.timeout(400)
def test_two_machines_train_a_network_that_is_in_no_file_of_theirs(tmp_path: Path) -> None:
    write(tmp_path, space=QUICK)
    words = WORDS | {"max_concurrent": "2", "trials": "12", "cohort": "1"}
    words |= {"epochs": "8", "steps_per_epoch": "300"}
    del words["dashboard"]
    with cluster() as nodes:
        machines = [nodes.add("--num-cpus=1") for _ in range(2)]
        env = environment(nodes.folder, TOKEN)
        given = [f"{key}={text}" for key, text in words.items()]
        with started(tmp_path, *given, f"address={nodes.address}", env=env) as search:
            for machine in machines:
                search.until(lambda pid=machine.pid: any(map(trains, descendants(pid))))
            (tmp_path / "mine.py").unlink()  # nobody reads it any more
            assert search.wait() == 0, search.err + search.out
        assert search.err == ""
    run = tmp_path / "runs" / "x"
    check_whole(run, searched=12)
    assert predict.load(run / "best", "stored").config.model.name == "my_gru"


def trains(pid: int) -> bool:
    """Says whether a process is a worker."""
    return WORKER in command(pid)
