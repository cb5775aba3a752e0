"""Where Python looks for modules: the folder that a person works in comes last.

`python -m` puts it first, where a `random.py` of the person takes the place of Python's own, and a
folder `spaces/` or a `trainable.py` that of ours. This module imports nothing that it could be.
"""

import sys


def put_last(folder: str) -> None:
    """Moves a folder to the end, and the folder of our packages before what else is installed.

    Args:
        folder: that the person works in; in its place, first, stands that of our packages.
    """
    ours = sys.path.pop(0)
    if ours not in sys.path:
        installed = (n for n, place in enumerate(sys.path) if place.endswith("-packages"))
        sys.path.insert(next(installed, len(sys.path)), ours)
    if folder not in sys.path:
        sys.path.append(folder)
