"""A search seen from outside while it runs: by what Prometheus reads, and in Optuna's dashboard."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import optuna
import pytest

from search.backend import grafana
from search.monitor.metrics import METRICS
from search.study.study import SearchStudy
from tests.fixtures.searches import MARKET, Search, started, write_space

NONE = {"asharpe_failed_steps"}  # Ray exports no counter before it has counted
SAMPLE = re.compile(r"^ray_(asharpe_\w+)\{(.*)\} (\S+)$", re.MULTILINE)
DISCOVERY = "asharpe-*/session_latest/prom_metrics_service_discovery.json"

Samples = list[tuple[str, dict[str, str], float]]


def read(address: str) -> str:
    with urllib.request.urlopen(f"http://{address}", timeout=5) as answer:
        return answer.read().decode()


def scraped(search: Search) -> Samples:
    """Reads our metrics from wherever Ray tells Prometheus to read; none while it has not begun."""
    found: Samples = []
    for file in search.tmp.glob(DISCOVERY):
        (job,) = json.loads(file.read_text(encoding="utf-8"))
        for target in job["targets"]:
            try:
                text = read(f"{target}/metrics")
            except OSError:  # Ray also lists what its autoscaler would say, if it had one
                continue
            for name, tags, value in SAMPLE.findall(text):
                found.append((name, dict(re.findall(r'(\w+)="([^"]*)"', tags)), float(value)))
    return found


def test_a_search_is_seen_while_it_runs_and_its_ray_ends_as_it_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_metrics_report_interval_ms", "1000")  # ten seconds unless set
    write_space(tmp_path)
    words = [*MARKET, "space=tiny.py", "trials=100000", "cohort=8", "name=größe 1"]
    with started(tmp_path, *words, "max_concurrent=1", "time_budget_s=150") as search:
        found: Samples = []

        def all_there() -> bool:
            time.sleep(0.2)
            found[:] = scraped(search)
            return {name.removesuffix("_total") for name, _, _ in found} == METRICS.keys() - NONE

        search.until(all_there, timeout_s=240)
        (metrics,) = search.tmp.glob("asharpe-*/session_latest/metrics")
        shown = json.loads((metrics / grafana.PLACE).read_text(encoding="utf-8"))
        assert shown["title"] == "asharpe: searches"
        assert shown["uid"] == "rayDataDashboard"
        assert (metrics / "prometheus" / "prometheus.yml").is_file()
        search.send(signal.SIGKILL)
        assert search.wait() == -signal.SIGKILL, search.err
        assert f"What Prometheus and Grafana need is in {metrics}.\n" in search.out
        # Workers do not outlive it; Ray's agents look for their cluster for a minute first.
        assert search.survivors(but="Agent") == set()
    assert {tags["run"] for _, tags, _ in found} == {r"gr\\xf6\\xdfe 1"}  # Ray takes ASCII only
    ended = [(tags, value) for name, tags, value in found if name == "asharpe_trials"]
    assert {(tags["state"], tags["reason"]) for tags, _ in ended} <= {
        ("PRUNED", "asha_rung"), ("COMPLETE", "completed"), ("COMPLETE", "converged"),
        ("PRUNED", "flat_sharpe"), ("COMPLETE", "early_stopped"),
    }  # fmt: skip
    value = {name: value for name, _, value in found}
    assert sum(count for _, count in ended) >= 1
    assert value["asharpe_trials_wanted"] == 100_000
    assert value["asharpe_slots"] == 1
    assert value["asharpe_slots_busy"] in (0, 1)
    assert 0 <= value["asharpe_running"] <= 8 + 2
    assert 0 <= value["asharpe_cohort_occupancy"] <= 1.25
    assert value["asharpe_sharpe_median"] <= value["asharpe_sharpe_best"]
    assert 5 < value["asharpe_sharpe_luck"] < 12
    assert value["asharpe_steps_total"] >= 100


def space(trial: optuna.Trial) -> dict[str, Any]:
    trial.suggest_float("optimizer/lr", 1e-4, 1e-1, log=True)
    return {"model/name": "mlp"}


def test_optuna_dashboard_lists_the_study_of_a_run(tmp_path: Path) -> None:
    pytest.importorskip("optuna_dashboard")
    log = tmp_path / "study.log"
    study = SearchStudy.create(log, "mine", seed=0)
    for _ in range(3):
        study.report(study.ask(space).number, 1, 0.5)
    study.finish(0, "COMPLETE", "completed", value=0.5)
    study.finish(1, "PRUNED", "nan_explosion", {"step": 3})
    before = log.read_bytes()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [Path(sys.executable).parent / "optuna-dashboard", log, "--port", str(port), "--quiet"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )
    try:
        (listed,) = json.loads(eventually(process, f"127.0.0.1:{port}/api/studies"))[
            "study_summaries"
        ]
        assert (listed["study_name"], listed["directions"]) == ("mine", ["maximize"])
        shown = json.loads(read(f"127.0.0.1:{port}/api/studies/{listed['study_id']}"))
        assert [trial["state"] for trial in shown["trials"]] == ["Complete", "Pruned", "Running"]
        assert log.read_bytes() == before
    finally:
        process.kill()
        process.wait()


def eventually(process: subprocess.Popen[bytes], address: str) -> str:
    """Reads from a server that is starting."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return read(address)
        except OSError:
            assert process.poll() is None, "it did not start"
            assert time.monotonic() < deadline, "it does not answer"
            time.sleep(0.1)
