"""Memory of this process, from the operating system (Linux)."""

import re
from pathlib import Path

STATUS = Path("/proc/self/status")
CLEAR = Path("/proc/self/clear_refs")


def resident() -> int:
    """Returns the bytes that are resident now."""
    return _field("VmRSS")


def peak() -> int:
    """Returns the most bytes that were resident, since the start or the last `reset_peak`."""
    return _field("VmHWM")


def reset_peak() -> None:
    """Lets `peak` begin anew."""
    CLEAR.write_text("5")


def _field(name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB", STATUS.read_text(), re.MULTILINE)
    assert found is not None, f"{STATUS} has no {name}"
    return 1024 * int(found[1])
