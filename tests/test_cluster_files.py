"""`cluster.yaml` and its sister: what Ray accepts, with the token on and the dashboard at home."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

ROOT = Path(__file__).parent.parent
each_file = pytest.mark.parametrize("name", ["cluster.yaml", "deploy/onpremise.yaml"])


def content(name: str) -> dict[str, Any]:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


@each_file
def test_ray_accepts_the_file(name: str) -> None:
    validate_config(prepare_config(content(name)))


@each_file
def test_nobody_gets_in(name: str) -> None:
    made = content(name)
    starts = made["head_start_ray_commands"] + made["worker_start_ray_commands"]
    assert len(starts) == 2
    assert all(command.startswith("RAY_AUTH_MODE=token ") for command in starts)
    assert "--dashboard-host=127.0.0.1" in starts[0]
    assert "ray stop" not in str(made)
    assert any("chmod 600" in command for command in made["setup_commands"])
    assert any(place.endswith("/.ray/auth_token") for place in made["file_mounts"])


@each_file
def test_machines_are_set_up_from_the_pinned_constraints_and_get_no_runs(name: str) -> None:
    made = content(name)
    what = {"local": " .", "aws": ' ".[aws]"'}[made["provider"]["type"]]
    assert made["setup_commands"][-1].endswith(f"sh deploy/install.sh .venv{what}")
    assert {"runs", ".venv", ".git"} <= set(made["rsync_exclude"])


def test_workers_of_the_cloud_come_and_go_and_may_be_spot() -> None:
    made = content("cluster.yaml")
    head, gpu = made["available_node_types"]["head"], made["available_node_types"]["gpu"]
    assert head["resources"] == {"CPU": 0}
    assert gpu["min_workers"] == 0 < gpu["max_workers"] == made["max_workers"]
    assert gpu["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
