"""What market data costs: read, check, features and windows of large daily panels.

    python -m benchmarks.data [--symbols 500,5000] [--days 5000] [--window 20] [--out FILE]

Every size is generated on disk in pieces, and measured in a process of its own.

Memory is what is resident above the process with everything imported; × counts it in final feature
tensors, rows × features × 4 bytes. `dataset_ready` is what a search does once, `with_view` also the
view that a worker trains on. Both the dataset's raw features and the view's scaled ones are in it,
two tensors at least: all views and workers share the dataset, so none may scale it in place.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from benchmarks import machine, memory
from trainable.cli.commands import status_of
from trainable.config import DataConfig
from trainable.data.dataset.build import build_dataset
from trainable.data.dataset.windows import make_windows
from trainable.data.ingest.panel import read_panel
from trainable.data.ingest.table import open_table
from trainable.data.quality.quality import checked
from trainable.data.settings import DataSettings

PIECE = 250  # days generated at a time
GATHERED = 100_000  # windows drawn, in batches
BATCH = 1024
DATASET = ("read", "check", "dataset")  # what a search does before it starts
WORKER = ("view",)  # what each worker does once for each `DataConfig`


@dataclass(frozen=True)
class Stage:
    """One stage: `peak_mib` and `resident_mib` (at its end) are above the imported process."""

    name: str
    seconds: float
    cpu_seconds: float
    rows_per_s: int
    peak_mib: float
    resident_mib: float


def main(argv: Sequence[str]) -> int:
    """Generates and measures every size; prints and stores the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--symbols", type=machine.numbers, default=[500, 5000], metavar="N,N")
    parser.add_argument("--days", type=int, default=5000)
    parser.add_argument("--window", type=int, default=20)
    parser.add_argument("--out", type=Path, default=machine.RESULTS / "data.json")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.measure:
        torch.set_num_threads(1)
        print(json.dumps(measure(args.measure, args.window)))
        return 0
    record, runs = machine.Record(args.out, "benchmarks.data", argv), []
    for symbols in args.symbols:
        with tempfile.TemporaryDirectory(prefix="asharpe-data-") as folder:
            table = Path(folder) / "market.parquet"
            generate(table, symbols, args.days)
            words = ["--measure", table, "--window", args.window]
            runs.append(machine.alone("benchmarks.data", *words))
        _show(runs[-1])
        record.save({"others_cpu_seconds": record.others(), "runs": runs})
    return 0


def generate(path: Path, symbols: int, days: int, seed: int = 0) -> None:
    """Writes daily bars (open, high, low, close, volume) as a Parquet file, sorted by time.

    Prices are random walks of fat-tailed daily moves of 2 %, cut off at ±25 %.
    """
    rng = np.random.default_rng(seed)
    names = pa.array([f"S{i:05d}" for i in range(symbols)])
    dates = pd.bdate_range("2000-01-03", periods=days).to_numpy()
    last = np.log(rng.uniform(10.0, 200.0, symbols))
    writer = None
    for begin in range(0, days, PIECE):
        stamps = dates[begin : begin + PIECE]
        shape = (len(stamps), symbols)
        moves = np.clip(0.02 / np.sqrt(2.0) * rng.standard_t(4, shape), -0.25, 0.25)
        close = last + np.cumsum(moves, axis=0)
        opened = np.vstack([last, close[:-1]]) + rng.normal(0.0, 0.003, shape)
        last = close[-1]
        high = np.maximum(opened, close) + np.abs(rng.normal(0.0, 0.005, shape))
        low = np.minimum(opened, close) - np.abs(rng.normal(0.0, 0.005, shape))
        volume = np.round(1e6 * np.exp(rng.normal(0.0, 0.5, shape)))
        columns: dict[str, Any] = {
            "timestamp": np.repeat(stamps, symbols),
            "symbol": pa.DictionaryArray.from_arrays(
                pa.array(np.tile(np.arange(symbols, dtype=np.int32), len(stamps))), names
            ),
        }
        for name, values in (("open", opened), ("high", high), ("low", low), ("close", close)):
            columns[name] = np.exp(values).ravel()
        piece = pa.table(columns | {"volume": volume.ravel()})
        writer = writer or pq.ParquetWriter(path, piece.schema, write_page_checksum=True)
        writer.write_table(piece)
    assert writer is not None, "no days to write"
    writer.close()


def measure(path: Path, window: int = 20) -> dict[str, Any]:
    """Makes a file ready to train on, stage by stage; returns seconds and memory of each.

    Args:
        path: the file.
        window: bars of one input, the largest that a trial may use.
    """
    settings = DataSettings(path=str(path))
    start = memory.resident()
    stages: list[Stage] = []

    def timed(name: str, work: Callable[..., Any], *given: Any, items: int = 0) -> Any:
        memory.reset_peak()
        begun, used = time.perf_counter(), time.process_time()
        result = work(*given)
        seconds, cpu = time.perf_counter() - begun, time.process_time() - used
        above = [round((b - start) / 2**20, 1) for b in (memory.peak(), memory.resident())]
        speed = round((items or rows) / seconds)
        stages.append(Stage(name, round(seconds, 3), round(cpu, 3), speed, *above))
        return result

    rows = pq.ParquetFile(path).metadata.num_rows
    panel = timed("read", lambda: read_panel(open_table(path), settings))
    market = timed("check", checked, panel, settings, path.name)
    del panel
    dataset = timed("dataset", build_dataset, market, settings, window)
    del market  # the driver of a search keeps it; the workers, which make views, never have it
    tensor = dataset.features.nbytes
    view = timed("view", make_windows, dataset, DataConfig(window=window))
    chosen = torch.from_numpy(np.random.default_rng(0).choice(dataset.train_rows, GATHERED))

    def gather() -> None:
        for part in chosen.split(BATCH):
            view.at(part)

    timed("windows", gather, items=GATHERED)
    ready = [stage for stage in stages if stage.name in DATASET]
    whole = [stage for stage in stages if stage.name in DATASET + WORKER]
    return {
        "symbols": len(dataset.symbols),
        "days": len(dataset.timestamps),
        "rows": rows,
        "file_mib": round(path.stat().st_size / 2**20, 1),
        "window": window,
        "features": len(dataset.feature_names),
        "train_rows": len(dataset.train_rows),
        "tensor_mib": round(tensor / 2**20, 1),
        "imported_mib": round(start / 2**20, 1),
        "stages": [asdict(stage) for stage in stages],
        "dataset_ready": _sum(ready, rows, tensor),
        "with_view": _sum(whole, rows, tensor),
    }


def _sum(stages: Sequence[Stage], rows: int, tensor: int) -> dict[str, float]:
    """Returns seconds, and the largest and last memory of all stages, in feature tensors."""
    seconds = sum(stage.seconds for stage in stages)
    mib = tensor / 2**20
    return {
        "seconds": round(seconds, 3),
        "cpu_seconds": round(sum(stage.cpu_seconds for stage in stages), 3),
        "rows_per_s": round(rows / seconds),
        "peak_per_tensor": round(max(stage.peak_mib for stage in stages) / mib, 2),
        "resident_per_tensor": round(stages[-1].resident_mib / mib, 2),
    }


def _show(run: dict[str, Any]) -> None:
    print(
        f"{run['symbols']:,} symbols × {run['days']:,} days = {run['rows']:,} rows, "
        f"{run['features']} features: tensor {run['tensor_mib']:,.0f} MiB"
    )
    for stage in run["stages"]:
        print(
            f"  {stage['name']:8} {stage['seconds']:8.2f} s, CPU {stage['cpu_seconds']:6.2f} s, "
            f"{stage['rows_per_s']:12,} a second, "
            f"peak {stage['peak_mib']:8,.0f} MiB, then {stage['resident_mib']:8,.0f} MiB"
        )
    for name in ("dataset_ready", "with_view"):
        sums = run[name]
        print(
            f"  {name:14} {sums['seconds']:.1f} s, CPU {sums['cpu_seconds']:.1f} s, "
            f"{sums['rows_per_s']:,} rows/s, peak "
            f"{sums['peak_per_tensor']:.2f} × the tensor, then {sums['resident_per_tensor']:.2f} ×"
        )


if __name__ == "__main__":
    sys.exit(status_of(lambda: main(sys.argv[1:])))
