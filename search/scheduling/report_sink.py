"""What else is told each report: TensorBoard, and whatever else records a search."""

from collections.abc import Mapping
from typing import Any, Protocol

from trainable.report import Report


class ReportSink(Protocol):
    """Takes in each new report, once, in the order of arrival."""

    def on_report(self, report: Report, params: Mapping[str, Any]) -> None:
        """Takes in a report of a trial with these parameters."""
        ...
