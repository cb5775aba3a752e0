"""A cluster of several machines, simulated on this one; a machine can be replaced at any time."""

import os
import secrets
import shutil
import tempfile
from pathlib import Path
from typing import Any, Self
from unittest.mock import patch

from search.backend.local_ray import ENVIRONMENT

# Ray notices a lost machine within seconds; by default it takes up to a minute.
HEALTH = {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "3",
}


class Machines:
    """A head without CPUs and some machines of one CPU each; in a `with` block.

    Args:
        count: of machines.

    Attributes:
        environment: what a search needs to be admitted.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._folder = Path(tempfile.mkdtemp(prefix="n", dir="/tmp"))
        token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        self.environment = {**ENVIRONMENT, **HEALTH, **token}
        self._nodes: list[tuple[Any, Path]] = []
        self._added = 0

    def __len__(self) -> int:
        """Machines that train."""
        return len(self._nodes)

    @property
    def address(self) -> str:
        """Where a search connects to."""
        return str(self._cluster.address)

    def __enter__(self) -> Self:
        """Starts the cluster."""
        self._patch = patch.dict(os.environ, self.environment)
        self._patch.start()
        from ray.cluster_utils import Cluster  # reads the environment when it is imported

        with patch(
            "ray._private.utils.write_ray_address"
        ):  # another search with address=auto must not find it
            head = {"num_cpus": 0, "include_dashboard": False, "temp_dir": str(self._folder)}
            self._cluster = Cluster(initialize_head=True, head_node_args=head)
        for _ in range(self._count):
            self._add()
        return self

    def __exit__(self, *_: object) -> None:
        """Ends the cluster."""
        self._cluster.shutdown()
        self._patch.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def replace(self, which: int) -> None:
        """Removes a machine at once, with all its files, and adds a new one."""
        node, folder = self._nodes.pop(which)
        self._cluster.remove_node(node, allow_graceful=False)
        shutil.rmtree(folder)
        self._add()

    def roots(self) -> dict[str, int]:
        """Returns the process of each machine from which its workers descend."""
        return {
            folder.name: node.all_processes["raylet"][0].process.pid for node, folder in self._nodes
        }

    def _add(self) -> None:
        self._added += 1
        folder = self._folder / f"machine-{self._added}"
        folder.mkdir()
        with patch.dict(os.environ, {"TMPDIR": str(folder)}):
            node = self._cluster.add_node(num_cpus=1)
        self._nodes.append((node, folder))
