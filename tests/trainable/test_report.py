"""A report is for reading, too."""

import numpy as np

from trainable.report import Report


def test_a_report_is_printed_without_its_arrays() -> None:
    made = Report(1, 2, 3, {"sharpe": 0.5}, net_returns=np.ones(3), predictions=np.ones(3))
    assert "array" not in repr(made)
    assert "'sharpe': 0.5" in repr(made)
