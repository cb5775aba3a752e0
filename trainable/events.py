"""TensorBoard events of one trial: its metrics by epoch, and its hyperparameters."""

from pathlib import Path

from tensorboardX import SummaryWriter
from tensorboardX.summary import hparams

from trainable.config import TrialConfig, to_params
from trainable.report import Report


def open_writer(folder: Path, config: TrialConfig) -> SummaryWriter:
    """Opens a trial's event file and writes its hyperparameters, with the metrics they lead to."""
    writer = SummaryWriter(str(folder), flush_secs=30)
    params = {name: value for name, value in to_params(config).items() if value is not None}
    for summary in hparams(params, {"sharpe": 0, "val_loss": 0}):
        assert writer.file_writer is not None
        writer.file_writer.add_summary(summary)
    return writer


def write(writer: SummaryWriter, report: Report) -> None:
    """Writes one epoch; undefined metrics are left out."""
    for name, value in report.values.items():
        if value is not None:
            writer.add_scalar(name, value, report.epoch)
    writer.flush()
