"""What the documents say of the code is so."""

import re
from pathlib import Path

from trainable.config import FIELDS, PER_MEMBER

DOCS = Path(__file__).parent.parent / "docs"


def test_the_table_of_cohort_settings_is_the_code() -> None:
    text = (DOCS / "cohorts.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+/\w+)` \| (shared|per member) \|", text, re.MULTILINE))
    assert rows == {key: "per member" if key in PER_MEMBER else "shared" for key in FIELDS}
