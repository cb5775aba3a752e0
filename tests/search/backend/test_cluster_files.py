"""`cluster.yaml` and its sister: what Ray accepts, with the token on and the dashboard at home."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

ROOT = Path(__file__).parents[3]
each_file = pytest.mark.parametrize("name", ["cluster.yaml", "deploy/onpremise.yaml"])


def content(name: str) -> dict[str, Any]:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


@each_file
def test_ray_accepts_the_file(name: str) -> None:
    validate_config(prepare_config(content(name)))


@each_file
def test_nobody_gets_in(name: str) -> None:
    made = content(name)
    ours = made["provider"]["type"] == "aws"  # on a machine that has other users, one does not
    for kind in ("head", "worker"):
        *stops, start = made[f"{kind}_start_ray_commands"]
        assert stops == (["~/asharpe/.venv/bin/ray stop"] if ours else [])
        assert start.startswith("RAY_AUTH_MODE=token ")
        assert ("--dashboard-host=127.0.0.1" in start) == (kind == "head")
    assert str(made).count("ray stop") == (2 if ours else 0)
    assert any("chmod 600" in command for command in made["setup_commands"])
    assert any(place.endswith("/.ray/auth_token") for place in made["file_mounts"])


@each_file
def test_machines_are_set_up_from_the_pinned_constraints_and_get_no_runs(name: str) -> None:
    made = content(name)
    what = {"local": " .", "aws": ' ".[aws]"'}[made["provider"]["type"]]
    assert made["setup_commands"][-1].endswith(f"sh deploy/install.sh .venv{what}")
    mounted = {place.partition("/asharpe/")[2]: here for place, here in made["file_mounts"].items()}
    assert mounted.pop("") == "~/.ray/auth_token"
    assert all(place == here for place, here in mounted.items())
    packages = {"analysis", "search", "spaces", "trainable"}
    assert set(mounted) == packages | {"deploy", "README.md", "constraints.txt", "pyproject.toml"}


def test_workers_of_the_cloud_come_and_go_and_may_be_spot() -> None:
    made = content("cluster.yaml")
    head, gpu = made["available_node_types"]["head"], made["available_node_types"]["gpu"]
    assert head["resources"] == {"CPU": 0}
    assert gpu["min_workers"] == 0 < gpu["max_workers"] == made["max_workers"]
    assert gpu["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
