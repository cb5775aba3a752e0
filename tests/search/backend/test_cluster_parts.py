"""Parts of one's own on a cluster: its machines see the text alone, not the person's files."""

import signal
from pathlib import Path

import numpy as np
import pytest

from tests.fixtures import tiny
from tests.fixtures.nodes import TOKEN, cluster, environment
from tests.fixtures.parts import QUICK, WORDS, write
from tests.fixtures.searches import check_whole, command, descendants, started
from trainable import predict
from trainable.data.dataset.build import evaluation_dataset
from trainable.data.settings import DataSettings
from trainable.data.sources import market_from_frame

WORKER = "ray::ResourceTrainable"


@pytest.mark.timeout(900)
def test_two_machines_train_a_network_that_is_in_no_file_of_theirs(tmp_path: Path) -> None:
    """Nor in one of the driver's, after the first was killed."""
    write(tmp_path, space=QUICK)
    words = WORDS | {"max_concurrent": "2", "trials": "5", "cohort": "1"}
    words |= {"epochs": "4", "steps_per_epoch": "300"}
    del words["dashboard"]
    run = tmp_path / "runs" / "x"
    with cluster("--num-cpus=1") as nodes:
        machines = [nodes.processes[0], nodes.add("--num-cpus=1")]
        env = environment(nodes.folder, TOKEN)
        given = [f"{key}={text}" for key, text in words.items()]
        address = f"address={nodes.address}"
        with started(tmp_path, *given, address, env=env) as search:
            for machine in machines:
                search.until(lambda pid=machine.pid: any(map(trains, descendants(pid))))
            (tmp_path / "mine.py").unlink()  # nobody reads it any more
            search.until(lambda: len(list(run.glob("shards/*.parquet"))) > 1)
            search.send(signal.SIGKILL)
            assert search.wait() == -signal.SIGKILL
        again = ("name=x", "resume=true", "parts=runs/x/parts/mine.py", address)
        with started(tmp_path, *again, env=env) as search:
            assert search.wait() == 0, search.err + search.out
        assert search.err == ""
    check_whole(run, searched=5)
    best = predict.load(run / "best", "stored")
    assert best.config.model.name == "my_gru"
    settings = DataSettings()
    market = market_from_frame(tiny.bars(seed=9), settings)
    dataset = evaluation_dataset(market, settings, best.scaler.names)
    predicted = best.predict(dataset, dataset.valid_rows)
    assert np.isfinite(predicted).all()
    assert predicted.std() > 0


def trains(pid: int) -> bool:
    """Says whether a process is a worker."""
    return WORKER in command(pid)
