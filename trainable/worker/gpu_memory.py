"""How torch takes memory of a GPU; to be said before it takes the first."""

import os

NAMES = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")  # the second is the older one
EXPANDABLE = "expandable_segments:True"


def use_expandable_segments() -> None:
    """Has torch grow its blocks of memory, unless the environment says how it shall do it.

    Cohorts of many shapes come and go, and blocks of fixed sizes leave gaps that none fits into.
    """
    if not any(name in os.environ for name in NAMES):
        os.environ[NAMES[0]] = EXPANDABLE
