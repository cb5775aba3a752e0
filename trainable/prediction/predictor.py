"""A trained model as two files, and predictions from them: `model.safetensors`, `config.json`.

Where it is made of a person's own parts, their text and its hash stand in `config.json`. That text
is code: nobody runs it unless told to, see `load`.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as tensors_as_bytes
from torch import Tensor, nn

from trainable.cli.errors import UserError
from trainable.cli.text import counted
from trainable.config import TrialConfig, from_params, input_shape, to_params
from trainable.data.dataset.dataset import Dataset
from trainable.data.dataset.scaler import Scaler
from trainable.data.dataset.windows import Windows
from trainable.data.graph.day_graph import day_graph, shown_rows
from trainable.io.checksums import DamagedError, checked, crc32, with_checksum
from trainable.io.file_store import FileStore, GoneError, writing
from trainable.io.json_file import loads
from trainable.losses import LOSSES, Loss
from trainable.models import MODELS, InputShape, Model, build_model, outline
from trainable.parts.files import PartsFile, read_files
from trainable.parts.loaded import files_to_predict, loaded_files

MODEL, CONFIG = "model.safetensors", "config.json"
SUM = "model_crc32"  # in the configuration: of the other file
STORED = "stored"  # for `parts`: the text that stands beside the model
ROWS = 1024  # predicted at once: a large transformer makes half a megabyte of each


@dataclass(frozen=True)
class Predictor:
    """A trained model with all that its inputs need.

    Attributes:
        model: in evaluation mode, float32.
        entry: of the table of models that it was built by. loss: that it was trained with.
        config: of its trial.
        scaler: fitted on its training rows; its names are the features, in order.
        facts: what else was known: number, epoch, horizon, lag, source, target_scale …
        parts: files of a person's own that it is made of.
    """

    model: nn.Module
    entry: Model
    loss: Loss
    config: TrialConfig
    scaler: Scaler
    facts: dict[str, Any]
    parts: tuple[PartsFile, ...] = ()

    def with_parts(self) -> AbstractContextManager[None]:
        """Has the person's own parts in our tables during a `with` block.

        A dataset with features of their own is built in one.
        """
        return _in_tables(self.parts)

    @torch.no_grad()
    def predict(self, dataset: Dataset, rows: np.ndarray) -> np.ndarray:
        """Returns what is traded, [m] float32, for rows [m] of a dataset.

        Of a model of one output that is its raw prediction; of several what the loss makes of them.
        A model over whole days sees all symbols of the rows' bars, also those not asked for, and
        is connected by the returns of this dataset.

        Raises:
            UserError: the dataset lacks a feature, or a row has not enough rows before it.
        """
        missing = [name for name in self.scaler.names if name not in dataset.feature_names]
        if missing:
            raise UserError(
                f"{dataset.name} lacks the features {', '.join(missing)} that the model was "
                "trained on; predict on data with the same columns"
            )
        window = self.config.data.window
        if len(rows) and int(dataset.age[rows].min()) < window:
            raise UserError(
                f"{dataset.name}: a row has fewer than {counted(window, 'row')} of its symbol"
            )
        columns = [dataset.feature_names.index(name) for name in self.scaler.names]
        x = self.scaler.transform(dataset.features[:, columns])
        np.nan_to_num(x, copy=False, nan=0.0)
        days = self.entry.batches == "days"
        outputs = (self._of_days if days else self._of_rows)(x, dataset, rows)
        horizon = self.facts.get("horizon", dataset.horizon)
        with self.with_parts():  # a weighted sum looks its parts up
            signal = self.loss.signal(self.config.loss, outputs, horizon)
        return signal.numpy().astype(np.float32)

    def _of_rows(self, x: np.ndarray, dataset: Dataset, rows: np.ndarray) -> Tensor:
        """Returns the outputs [m, …] of a model of single rows of scaled features x [R, F]."""
        back = np.arange(1 - self.config.data.window, 1)
        parts = [
            self.model(torch.from_numpy(x[part[:, None] + back]))
            for part in np.array_split(rows, max(1, -(-len(rows) // ROWS)))
        ]
        return torch.cat(parts)

    def _of_days(self, x: np.ndarray, dataset: Dataset, rows: np.ndarray) -> Tensor:
        """Returns the outputs [m, …] of a model over whole days, likewise."""
        window = self.config.data.window
        time, symbol = dataset.time[rows], dataset.symbol[rows]
        shown_at = shown_rows(dataset, window, self.scaler.names)
        shown_at[time, symbol] = rows  # also those that lack a feature
        graph = day_graph(dataset, self.entry.graph(self.config.model)).showing(shown_at)
        bars, day = np.unique(time, return_inverse=True)
        cells = torch.from_numpy(day * len(dataset.symbols) + symbol)
        back = torch.arange(1 - window, 1)
        values, parts = torch.from_numpy(x), []
        for part in torch.from_numpy(bars.astype(np.int64)).split(
            max(1, ROWS // len(dataset.symbols))
        ):
            shown = graph.rows[part].flatten()
            inputs = values[shown.clamp(min=window - 1).unsqueeze(-1) + back]
            inputs *= (shown >= 0).view(-1, 1, 1)
            parts.append(self.model(inputs, graph.days(part, inputs.dtype)))
        return torch.cat(parts)[cells] if parts else torch.zeros(0)


def predictor_of(
    config: TrialConfig, weights: Mapping[str, Tensor], windows: Windows, facts: dict[str, Any]
) -> Predictor:
    """Returns the predictor of a model that was just trained.

    Args:
        config: of the trial.
        weights: by parameter name.
        windows: what the model was trained on.
        facts: what else is known, `horizon` at least.
    """
    model = build_model(config.model, input_shape(config, windows.groups), 0)
    model.load_state_dict({name: tensor.detach().float().cpu() for name, tensor in weights.items()})
    entry, loss = MODELS[config.model.name], LOSSES[config.loss.name]
    scaler = replace(windows.scaler, names=windows.names)
    return Predictor(model.eval(), entry, loss, config, scaler, facts)


def save(
    store: FileStore,
    config: TrialConfig,
    weights: dict[str, Tensor],
    windows: Windows,
    facts: dict[str, Any],
) -> None:
    """Writes the two files of a trained model, each at once.

    Args:
        store: made if missing.
        config: of the trial.
        weights: of the ranking epoch, by parameter name.
        windows: what the model was trained on: its scaler, features and target scale are kept.
        facts: JSON-able, kept beside.

    Raises:
        NotWrittenError: they cannot be written.
    """
    scaler = windows.scaler.to_dict() | {"names": list(windows.names)}
    content: dict[str, Any] = {
        "params": to_params(config),
        "features": list(windows.names),
        "groups": list(windows.groups),
        "scaler": scaler,
        "facts": {**facts, "target_scale": windows.target_scale},
    }
    if parts := files_to_predict():
        content["parts"] = [replace(file, path=None).record() for file in parts]
    tensors = {n: t.detach().float().cpu().contiguous() for n, t in weights.items()}
    model = tensors_as_bytes(tensors)
    text = json.dumps(with_checksum({**content, SUM: crc32(model)}), indent=2, allow_nan=False)
    with writing(store):
        store.write(MODEL, model)
        store.write(CONFIG, f"{text}\n".encode())


def stored_form(
    predictor: Predictor, groups: Sequence[str], facts: Mapping[str, Any]
) -> tuple[dict[str, Any], bytes]:
    """Returns the contents of the two files of a model that was just trained, without check sums.

    Args:
        predictor: the model.
        groups: of each of its features.
        facts: JSON-able, in the place of its own.
    """
    content: dict[str, Any] = {
        "params": to_params(predictor.config),
        "features": list(predictor.scaler.names),
        "groups": list(groups),
        "scaler": predictor.scaler.to_dict() | {"names": list(predictor.scaler.names)},
        "facts": dict(facts),
    }
    if parts := files_to_predict():
        content["parts"] = [replace(file, path=None).record() for file in parts]
    weights = predictor.model.state_dict()
    model = tensors_as_bytes({n: t.detach().float().contiguous() for n, t in weights.items()})
    return {**content, SUM: crc32(model)}, model


def load(
    where: Path | FileStore, parts: str | Path | Sequence[str | Path] | None = None
) -> Predictor:
    """Reads a trained model back; nothing in its files is executed unless `parts` says so.

    Args:
        where: the folder; of an ensemble, such as `best/` of a run, the first member of the
            configuration that ranks first is read.
        parts: of a model made of a person's own parts: their file, or several, whose text must be
            the one that the model was trained with; or `stored` to run the text that stands in the
            folder, whose hash is checked. That is as safe as running a program from there: do so
            with folders of people whom you trust. None: the parts are in the tables already.

    Raises:
        UserError: a file is missing or damaged, or the two do not fit; or parts are needed, and
            these are others.
    """
    store = FileStore.of(where) if isinstance(where, Path) else where
    if isinstance(where, Path) and (place := _first_member(store)) is not None:
        where = where / place
        store = FileStore.of(where)
    for name in (CONFIG, MODEL):
        if not store.has(name):
            raise UserError(f"{where}/{name} does not exist; name a folder such as best/")
    name = CONFIG
    try:
        content = checked(loads(store.read(CONFIG)))
        name = MODEL
        stored = store.read(MODEL)
        if content.get(SUM, crc32(stored)) != crc32(stored):
            raise DamagedError(f"it is not the one that {CONFIG} was written with")
        weights = load_tensors(stored)
        name = CONFIG
        files = _parts(content.get("parts", []), parts, f"{where}/{CONFIG}")
    except GoneError:
        raise
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise _damaged(where, name, error) from error
    with _in_tables(files):
        try:
            return _predictor(content, weights, files)
        except (ValueError, KeyError, TypeError, RuntimeError) as error:
            raise _damaged(where, MODEL, error) from error


def _first_member(store: FileStore) -> str | None:
    """Returns the folder of an ensemble's first member, as it ranks first; None of one model."""
    if not store.has(CONFIG):
        return None
    try:
        content = checked(loads(store.read(CONFIG)))
        members = content.get("members")
        place = None if members is None else str(members[0]["folder"])
    except GoneError:
        raise
    except (OSError, ValueError, LookupError, TypeError) as error:
        if store.has(MODEL):
            return None  # `load` says what is wrong
        raise _damaged(store, CONFIG, error) from error
    return None if place is None or ".." in place or place.startswith("/") else place


def _in_tables(files: tuple[PartsFile, ...]) -> AbstractContextManager[None]:
    if not files:
        return nullcontext()
    # It needs all tables, and what computes features, which few predictions do.
    from trainable.parts.registration import registered

    return registered(files)


def _predictor(
    content: dict[str, Any], weights: dict[str, Tensor], files: tuple[PartsFile, ...]
) -> Predictor:
    """Builds the model, whose parts are in the tables."""
    config = from_params(content["params"])
    scaler = Scaler.from_dict(content["scaler"])
    shape = input_shape(config, content.get("groups", [""] * len(scaler.names)))
    _check_shapes(config, shape, weights)
    model = build_model(config.model, shape, 0)
    model.load_state_dict(weights)
    entry, loss = MODELS[config.model.name], LOSSES[config.loss.name]
    return Predictor(model.eval(), entry, loss, config, scaler, content["facts"], files)


def _damaged(where: Path | FileStore, name: str, error: Exception) -> UserError:
    said = str(error).partition("\n")[0]
    return UserError(
        f"{where}/{name} is not of a trained model of this project, or damaged ({said}); "
        "restore it from a copy"
    )


def _parts(
    records: Sequence[Mapping[str, Any]],
    given: str | Path | Sequence[str | Path] | None,
    where: str,
) -> tuple[PartsFile, ...]:
    """Returns the files of parts that a model needs.

    Args:
        records: as they stand in its configuration.
        given: as `load` takes them.
        where: the configuration.

    Raises:
        UserError: the caller has not said that they may be run, or gave others.
    """
    stored = tuple(PartsFile.from_record(record) for record in records)
    there = {file.sha256 for file in loaded_files()}
    if not stored or given == STORED or all(file.sha256 in there for file in stored):
        return stored
    names = ", ".join(f"{file.name}.py" for file in stored)
    if given is None:
        raise UserError(
            f"{where}: the model is made of {names}, which is code; load(…, parts={STORED!r}) runs "
            "the copy that stands there, so trust the folder; parts='PATH' runs a file of yours"
        )
    files = read_files([given] if isinstance(given, str | Path) else given)
    by_hash = {file.sha256: file for file in files}
    for file in stored:
        if file.sha256 not in by_hash:
            shown = ", ".join(one.shown for one in files)
            if file.name not in {one.name for one in files}:
                raise UserError(
                    f"{where}: the model is made of {names}, so {file.name}.py is needed beside "
                    f"{shown}: parts takes a list"
                )
            raise UserError(
                f"{where}: {file.name}.py was another text when the model was trained than "
                f"{shown} is now; parts={STORED!r} runs the text of then"
            )
    return tuple(by_hash[file.sha256] for file in stored)


def _check_shapes(config: TrialConfig, shape: InputShape, weights: Mapping[str, Tensor]) -> None:
    """Raises ValueError where the weights are of another model, before it takes any memory."""
    expected = outline(config.model, shape).state_dict()
    if {n: t.shape for n, t in weights.items()} != {n: t.shape for n, t in expected.items()}:
        raise ValueError(f"the weights are not those of {str(config.model)[:60]}")
