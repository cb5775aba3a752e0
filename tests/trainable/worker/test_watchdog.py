"""A process that hangs is ended, and says where it hung; one that idles is not."""

import subprocess
import sys
import time
from pathlib import Path

from trainable.worker.watchdog import Watchdog, stacks_of

HANGS = """
import sys, threading, time
from pathlib import Path
from trainable.worker.watchdog import Watchdog

def stuck_for_ever():
    lock = threading.Lock(); lock.acquire(); lock.acquire()

dog = Watchdog(Path(sys.argv[1]), 0.4)
for _ in range(3):
    with dog:
        pass
time.sleep(0.8)  # nothing to do
print("idle", flush=True)
with dog:
    stuck_for_ever()
"""


def test_a_hanging_process_ends_and_leaves_its_stacks(tmp_path: Path) -> None:
    file = stacks_of(tmp_path, 7)
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", HANGS, str(file)], capture_output=True, text=True, timeout=50
    )
    assert (done.returncode, done.stdout) == (1, "idle\n")
    assert 1.0 < time.monotonic() - begun < 40
    assert "stuck_for_ever" in file.read_text()
    assert file.name == "hung-7.txt"


def test_without_the_folder_the_stacks_go_to_standard_error(tmp_path: Path) -> None:
    """The driver's folder, seen from another machine."""
    file = tmp_path / "elsewhere" / "hung-1.txt"
    done = subprocess.run(
        [sys.executable, "-c", HANGS, str(file)], capture_output=True, text=True, timeout=50
    )
    assert done.returncode == 1
    assert "stuck_for_ever" in done.stderr


def test_a_worker_that_never_hung_leaves_no_file(tmp_path: Path) -> None:
    dog = Watchdog(stacks_of(tmp_path, 1), 30.0)
    with dog:
        pass
    dog.close()
    dog.close()
    assert list(tmp_path.iterdir()) == []
