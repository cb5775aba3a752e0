"""Recipes for SLURM and Kubernetes: the script with stand-ins, the manifest's fields."""

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from search.settings.reading import settings_from

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "deploy" / "slurm" / "search.sbatch"
MANIFEST = ROOT / "deploy" / "kubernetes" / "rayjob.yaml"
Start = Callable[..., subprocess.Popen[str]]
SAY = 'echo "$(basename "$0") $*" >>"$LOG"\n'
STAND_INS = {
    # Runs on its node what follows its own options.
    "srun": SAY + 'while [ "${1#--}" != "$1" ]; do shift; done\nexec "$@"\n',
    "scontrol": SAY,
    "hostname": 'case "${1:-}" in --ip-address) echo 10.0.0.7 ;; *) echo node1 ;; esac\n',
}
OF_THE_PROJECT = {
    "ray": SAY
    + 'if [ "$1" = start ]; then cp "$RAY_AUTH_TOKEN_PATH" "$LOG.token"; exec sleep 60; fi\n',
    # It ends once both nodes have their Ray, or is interrupted.
    "python": "trap 'exit 130' USR1\n"
    + SAY
    + 'until [ "$(grep -c "^ray start" "$LOG")" = 2 ]; do sleep 0.02; done\n'
    + 'while [ -e "$LOG.waits" ]; do sleep 0.02; done\n',
}


@pytest.fixture
def job(tmp_path: Path) -> dict[str, str]:
    """The environment of a job of two nodes, whose programs only say how they were called."""
    for folder, programs in (("path", STAND_INS), (".venv/bin", OF_THE_PROJECT)):
        (tmp_path / folder).mkdir(parents=True)
        for name, body in programs.items():
            (tmp_path / folder / name).write_text(f"#!/bin/bash\n{body}", encoding="utf-8")
            (tmp_path / folder / name).chmod(0o700)
    return {
        "PATH": f"{tmp_path / 'path'}:{os.environ['PATH']}",
        "LOG": str(tmp_path / "log"),
        "SLURM_SUBMIT_DIR": str(tmp_path),
        "SLURM_JOB_ID": "12345",
        "SLURM_JOB_NUM_NODES": "2",
        "SLURM_CPUS_PER_TASK": "8",
    }


@pytest.fixture
def start(job: dict[str, str]) -> Iterator[Start]:
    """Starts the script; what is left of it in the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def starting(*words: str) -> subprocess.Popen[str]:
        command = ["bash", str(SCRIPT), *words]
        started.append(subprocess.Popen(command, env=job, text=True, start_new_session=True))
        return started[-1]

    yield starting
    for process in started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def said(job: dict[str, str], program: str) -> list[list[str]]:
    lines = Path(job["LOG"]).read_text(encoding="utf-8").splitlines()
    return [words[1:] for words in map(shlex.split, lines) if words[0] == program]


def test_a_job_starts_head_workers_and_the_search(job: dict[str, str], start: Start) -> None:
    assert start("space=medium", "trials=8").wait(timeout=20) == 0
    head, worker = sorted((w for w in said(job, "ray") if w[0] == "start"), key=len, reverse=True)
    address = f"10.0.0.7:{10000 + 12345}"
    assert {"--head", "--port=22345", "--dashboard-host=127.0.0.1", "--num-cpus=8"} <= set(head)
    assert {f"--address={address}", "--num-cpus=8"} <= set(worker)
    on = [words for words in said(job, "srun") if any(w.startswith("--exclude") for w in words)]
    assert [words[:4] for words in on] == [
        ["--overlap", "--nodes=1", "--ntasks=1", "--exclude=node1"]
    ]
    (search,) = said(job, "python")
    assert search[:2] == ["-m", "search.run"]
    settings = settings_from(search[2:])
    assert (settings.space, settings.trials, settings.name) == ("medium", 8, "slurm-12345")
    assert settings.address == address
    assert said(job, "scontrol") == []


def test_a_job_has_a_token_of_its_own_and_takes_it_away(job: dict[str, str], start: Start) -> None:
    start().wait(timeout=20)
    token = Path(f"{job['LOG']}.token").read_text(encoding="utf-8")
    assert len(token) == 64
    assert set(token) <= set("0123456789abcdef")
    assert list(Path(job["SLURM_SUBMIT_DIR"]).glob(".ray-token*")) == []


def test_a_job_whose_time_is_over_ends_its_search_and_queues_again(
    job: dict[str, str], start: Start
) -> None:
    Path(f"{job['LOG']}.waits").touch()
    started = start("space=medium")
    deadline = time.monotonic() + 20
    while not (Path(job["LOG"]).is_file() and said(job, "python")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    started.send_signal(signal.SIGUSR1)  # to the script alone, as --signal=B: does
    assert started.wait(timeout=20) == 130
    assert said(job, "scontrol") == [["requeue", "12345"]]


def test_a_job_that_was_queued_again_goes_on(job: dict[str, str], start: Start) -> None:
    run = Path(job["SLURM_SUBMIT_DIR"]) / "runs" / "slurm-12345" / "run.json"
    run.parent.mkdir(parents=True)
    run.write_text("{}", encoding="utf-8")
    assert start("space=medium").wait(timeout=20) == 0
    (search,) = said(job, "python")
    assert "resume=true" in search
    assert "space=medium" not in search


def test_slurm_warns_the_script_and_may_queue_it_again() -> None:
    lines = SCRIPT.read_text(encoding="utf-8").splitlines()
    asked = {line.removeprefix("#SBATCH ") for line in lines if line.startswith("#SBATCH ")}
    assert {"--signal=B:USR1@120", "--requeue", "--open-mode=append"} <= asked


def manifest() -> tuple[dict[str, Any], dict[str, Any]]:
    job, policy = yaml.safe_load_all(MANIFEST.read_text(encoding="utf-8"))
    return job, policy


def test_the_manifest_is_a_job_whose_command_is_a_search() -> None:
    job, _ = manifest()
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    words = shlex.split(job["spec"]["entrypoint"])
    assert words[:3] == ["python", "-m", "search.run"]
    settings = settings_from(words[3:])
    assert settings.address == "auto"
    assert settings.gpus_per_trial == 0  # at first there is no machine that could tell
    mounted = {
        container["image"]: container["volumeMounts"][0]["mountPath"]
        for group in groups(job)
        for container in group["template"]["spec"]["containers"]
    }
    assert mounted == {"IMAGE": "/shared"}
    assert {str(settings.runs_dir), str(settings.storage_path)} == {
        "/shared/runs",
        "/shared/checkpoints",
    }


def groups(job: dict[str, Any]) -> list[dict[str, Any]]:
    cluster = job["spec"]["rayClusterSpec"]
    return [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]


def test_the_manifest_s_cluster_asks_for_a_token_and_is_the_ray_that_is_installed() -> None:
    job, policy = manifest()
    cluster = job["spec"]["rayClusterSpec"]
    assert cluster["authOptions"] == {"mode": "token"}
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert f"ray=={cluster['rayVersion']}" in pins
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    (workers,) = cluster["workerGroupSpecs"]
    assert workers["minReplicas"] == 0 < workers["maxReplicas"]
    nodes = {"matchLabels": {"ray.io/is-ray-node": "yes"}}
    assert policy["spec"]["podSelector"] == nodes
    assert {"podSelector": nodes} in policy["spec"]["ingress"][0]["from"]
