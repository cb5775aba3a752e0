"""Our dashboard in Ray's: where it would show one for Ray Data, which a search does not use.

The Metrics view of Ray's dashboard embeds two dashboards of Grafana, `Core` and `Ray Data`, each by
its uid; there is no place for a third. `python -m search.grafana FOLDER` does it for a
cluster that runs already; FOLDER is its `metrics`, such as /tmp/ray/session_latest/metrics.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from trainable.cli.errors import UserError
from trainable.cli.options import print_usage
from trainable.cli.paths import expand_home
from trainable.io.json_file import loads

DASHBOARD = Path(__file__).with_name("grafana.json")
PLACE = Path("grafana", "dashboards", "data_grafana_dashboard.json")
USAGE = "usage: python -m search.grafana /tmp/ray/session_latest/metrics"


def main(argv: Sequence[str]) -> int:
    """Puts our dashboard into the folder that the command line names; returns the exit status."""
    if list(argv) in (["--help"], ["-h"]):
        print_usage(USAGE)
        return 0
    if len(argv) != 1:
        raise UserError(f"expected one folder; {USAGE}")
    take_place(Path(expand_home(argv[0])))
    print("Grafana shows it within seconds: in Ray's dashboard under Metrics, tab Ray Data.")
    return 0


def take_place(metrics: Path) -> None:
    """Puts our dashboard in the place of that for Ray Data, under its uid.

    Args:
        metrics: the folder in which Ray has written what Prometheus and Grafana need.

    Raises:
        UserError: there is none, or it cannot be written.
    """
    file = metrics / PLACE
    try:
        theirs = loads(file.read_text(encoding="utf-8"))
        ours = loads(DASHBOARD.read_text(encoding="utf-8"))
        file.write_text(json.dumps(ours | {"uid": theirs["uid"]}, indent=2), encoding="utf-8")
    except FileNotFoundError as error:
        raise UserError(
            f"{metrics} has no {PLACE}: Ray writes it where it starts its dashboard, such as into "
            "/tmp/ray/session_latest/metrics of the head"
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{file} cannot be replaced: {error!r}") from error
