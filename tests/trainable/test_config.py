import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainable.cli.errors import UserError
from trainable.config import (
    FIELDS,
    PER_MEMBER,
    TABLES,
    TrainConfig,
    TrialConfig,
    fields_of,
    from_params,
    from_text,
    shape_key,
    to_params,
)
from trainable.hyperparameter import check_divisible, hyperparameter, hyperparameters
from trainable.losses.huber import HuberConfig
from trainable.losses.squared import MseConfig
from trainable.models.mlp import hidden_dims
from trainable.optimizers.sgd import SgdConfig
from trainable.validation import validate, validate_against


def test_defaults_are_valid_and_round_trip():
    config = TrialConfig()
    validate(config)
    assert from_params({}) == config
    assert from_params(json.loads(json.dumps(to_params(config)))) == config
    assert set(to_params(config)) <= set(FIELDS)
    assert to_params(config)["optimizer/beta1"] == 0.9


def test_names_of_the_real_tables_are_known():
    with pytest.raises(UserError, match=r"unknown optimizer/name 'adamm'; did you mean 'adamw'"):
        from_params({"optimizer/name": "adamm"})


def test_numbers_take_the_type_of_their_field():
    config = from_params(
        {"optimizer/lr": 1, "train/batch_size": np.int64(16), "model/dropout": np.float64(0.5)}
    )
    assert (config.optimizer.lr, config.train.batch_size) == (1.0, 16)
    assert type(config.optimizer.lr) is float
    assert type(config.train.batch_size) is int
    assert type(config.model.dropout) is float


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("optimizer/lrr", 1.0, "unknown parameter 'optimizer/lrr'; did you mean 'optimizer/lr'"),
        ("lr", 1.0, "unknown parameter 'lr'"),
        ("optimizer/lr", "1e-4", "optimizer/lr='1e-4': expected a number"),
        ("optimizer/lr", None, "optimizer/lr=None: expected a number"),
        ("optimizer/lr", True, "optimizer/lr=True: expected a number"),
        ("optimizer/lr", float("nan"), "optimizer/lr=nan: expected a finite number"),
        ("optimizer/lr", 10**400, "expected a finite number"),
        ("train/batch_size", 32.0, "train/batch_size=32.0: expected a whole number"),
        ("model/norm", 1, "model/norm=1: expected true or false"),
        ("model/hidden_dims", [64, 32], "model/hidden_dims=[64, 32]: expected text"),
    ],
)
def test_wrong_names_and_types_are_named(key, value, message):
    with pytest.raises(UserError) as raised:
        from_params({key: value})
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model/dropout", 0.95), ("model/dropout", -0.1), ("optimizer/lr", 0.0),
        ("optimizer/lr", -1e-4), ("optimizer/clip", 0.0), ("optimizer/weight_decay", -1.0),
        ("optimizer/beta2", 1.0), ("train/batch_size", 1), ("train/patience", -1),
        ("train/epochs", 0), ("data/window", 0), ("data/winsorise", 25.1), ("data/winsorise", -1.0),
        ("schedule/warmup_steps", -5), ("schedule/factor", 1.0), ("loss/delta", 0.0),
        ("train/seed", -1),
    ],
)  # fmt: skip
def test_values_out_of_range_say_what_would_work(key, value):
    with pytest.raises(UserError) as raised:
        validate(from_params({key: value}))
    message = str(raised.value)
    assert message.startswith(f"{key}={value} must be ")
    suggestion = message.rpartition(f"fix.{key}=")[2].removesuffix(" works")
    validate(from_params({key: from_text(key, suggestion)}))


def test_every_number_has_a_range_and_its_default_lies_inside():
    for key, known in FIELDS.items():
        assert (known.range != "") == (known.kind.base in (int, float))
        assert known.meaning
        known.check_value(key, known.default)
        known.check_value(key, from_text(key, known.works))


@pytest.mark.parametrize(
    "text", ["", "64-", "-64", "64--32", "64,32", "a-b", "0-3", "64-32.5", "²"]
)
def test_hidden_dims_must_be_widths(text):
    with pytest.raises(UserError, match="64-32-16 works"):
        validate(from_params({"model/hidden_dims": text}))


def test_hidden_dims_are_read():
    assert hidden_dims("512-256-128-64") == (512, 256, 128, 64)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ("prices", "did you mean 'price'"),
        ("price+", "unknown feature group"),
        ("price+price", "names a group twice"),
    ],
)
def test_feature_groups_are_checked(features, message):
    with pytest.raises(UserError, match=message):
        validate(from_params({"data/features": features}))
    validate(from_params({"data/features": "price+volume"}))


def test_scaler_is_checked():
    with pytest.raises(UserError, match="did you mean 'robust'"):
        validate(from_params({"data/scaler": "robst"}))


def against(params: dict[str, object], rows=10_000, window_limit=60, steps=100, groups=None):
    validate_against(from_params(params), rows, window_limit, steps, groups)


def test_what_fits_the_data_passes():
    against({"data/window": 60, "train/batch_size": 10_000, "schedule/warmup_steps": 2500})


def test_window_longer_than_the_data():
    with pytest.raises(UserError, match=r"data/window=61 .* fix\.data/window=60"):
        against({"data/window": 61})


def test_batch_larger_than_the_rows():
    with pytest.raises(UserError, match=r"train/batch_size=32 .* 20 training rows; .*=10 works"):
        against({}, rows=20)


def test_warmup_is_at_most_half_of_all_steps():
    with pytest.raises(UserError) as raised:
        against({"schedule/warmup_steps": 5000, "train/epochs": 47})
    message = str(raised.value)
    assert "schedule/warmup_steps=5000" in message
    assert "fix.schedule/warmup_steps=2350 or epochs=100 works" in message
    against({"schedule/warmup_steps": 2350, "train/epochs": 47})
    against({"schedule/warmup_steps": 5000, "train/epochs": 100})
    with pytest.raises(UserError):
        against({"schedule/warmup_steps": 5000, "train/epochs": 99})


def test_a_constant_schedule_has_no_warmup():
    params = {"schedule/name": "constant", "schedule/warmup_steps": 5000, "train/epochs": 1}
    against(params)
    assert from_params(params).schedule.warmup_steps == 0


def test_feature_groups_that_the_data_lack():
    with pytest.raises(UserError, match="no volume features"):
        against({"data/features": "price+volume"}, groups=["price", "calendar"])
    against({"data/features": "price"}, groups=["price", "calendar"])


def test_system_b1_indivisible_heads_are_refused_before_the_start():
    check_divisible("model/width", 512, "model/heads", 8)
    with pytest.raises(UserError) as raised:
        check_divisible("model/width", 512, "model/heads", 12)
    assert str(raised.value) == (
        "model/width=512 is not divisible by model/heads=12; "
        "fix.model/heads=8 or fix.model/heads=16 works"
    )
    with pytest.raises(UserError):
        check_divisible("model/width", 512, "model/heads", 0)


def test_members_may_differ_in_numbers_and_share_the_shape():
    assert set(FIELDS) >= PER_MEMBER
    others = {
        "model/name": "gru", "model/hidden_dims": "8", "model/pooling": "mean",
        "model/positions": "learned", "optimizer/name": "sgd", "schedule/name": "constant",
        "loss/name": "mse", "data/features": "price", "data/scaler": "standard",
        "data/target": "z_by_day", "train/precision": "bf16", "loss/horizons": "1-5",
        "loss/phases": "{}", "loss/quantiles": "0.5",
    }  # fmt: skip
    for key in FIELDS:
        value = FIELDS[key].default
        other = others.get(key, (not value) if isinstance(value, bool) else None)
        chosen = {} if key.endswith("/name") else entry_with(key)
        same = shape_key(from_params(chosen | {key: value + 1 if other is None else other}))
        assert (same == shape_key(from_params(chosen))) == (key in PER_MEMBER), key
    assert hash(shape_key(TrialConfig())) == hash(shape_key(from_params({"optimizer/lr": 1e-3})))


def entry_with(key):
    """Returns the choice of an entry whose configuration has a field; of others it is unused."""
    group, name = key.split("/")
    names = [e for e, each in TABLES.get(group, {}).items() if name in hyperparameters(each.config)]
    return {f"{group}/name": names[0]} if names else {}


def test_what_shares_a_shape_is_what_the_cohort_expects():
    shared = {key for key, _ in shape_key(TrialConfig())}
    assert shared == {
        "model/name", "model/hidden_dims", "model/norm", "optimizer/name",
        "loss/name", "data/window", "data/features", "data/winsorise", "data/scaler", "data/target",
        "train/batch_size", "train/epochs", "train/steps_per_epoch", "train/precision",
        "train/accumulate",
    }  # fmt: skip


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "optimizer/lr": st.floats(allow_nan=False, allow_infinity=False),
            "train/seed": st.integers(0, 2**63 - 1),
            "model/hidden_dims": st.text(),
            "model/norm": st.booleans(),
        },
    )
)
def test_params_round_trip(params):
    again = to_params(from_params(params))
    assert {key: again[key] for key in params} == params
    assert from_params(again) == from_params(params)


OTHERS = {
    "optimizer/momentum": 0.5,
    "loss/delta": 3.0,
    "schedule/factor": 0.25,
    "loss/name": "mse",
}


def test_a_parameter_of_another_entry_is_taken_and_has_no_effect():
    config = from_params(OTHERS)
    assert config.unused == (
        ("loss/delta", 3.0), ("optimizer/momentum", 0.5), ("schedule/factor", 0.25)
    )  # fmt: skip
    assert from_params(to_params(config)) == config
    assert shape_key(config) == shape_key(from_params({"loss/name": "mse"}))
    assert config.optimizer == TrialConfig().optimizer
    validate(config)
    chosen = from_params({**OTHERS, "optimizer/name": "sgd", "loss/name": "huber"})
    assert chosen.unused == (("schedule/factor", 0.25),)
    assert (chosen.optimizer, chosen.loss) == (SgdConfig(momentum=0.5), HuberConfig(delta=3.0))


@pytest.mark.parametrize("key", ["optimizer/momentum", "schedule/factor"])
def test_a_parameter_of_another_entry_is_checked_too(key: str) -> None:
    with pytest.raises(UserError, match=f"{key}=1.0 must be"):
        validate(from_params({key: 1.0}))


def test_a_name_means_one_thing_in_a_group() -> None:
    @dataclasses.dataclass(frozen=True)
    class Other:
        dead_zone: float = hyperparameter(0.0, "of another range", low=0, high=2)

    with pytest.raises(TypeError, match=r"Other\.dead_zone is another loss/dead_zone"):
        fields_of({"loss": [MseConfig, Other]})
    assert set(fields_of({"loss": [MseConfig]})) == {"loss/name", "loss/dead_zone"}


def test_an_entrys_name_cannot_be_set() -> None:
    with pytest.raises(ValueError, match="init=False"):
        dataclasses.replace(MseConfig(), name="huber")


def test_from_text_reads_by_the_field():
    assert from_text("optimizer/lr", "1e-4") == 1e-4
    assert from_text("model/hidden_dims", "64-32") == "64-32"
    assert from_text("model/norm", "false") is False
    with pytest.raises(UserError, match=r"fix\.train/batch_size=abc: expected a whole number"):
        from_text("train/batch_size", "abc")
    with pytest.raises(UserError, match="did you mean 'optimizer/lr'"):
        from_text("optimizer/lrs", "1")


def test_configuration_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        TrialConfig().model.dropout = 0.1  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(
    ("asked", "batch", "rows", "expected"),
    [(0, 32, 100, 3), (0, 32, 96, 3), (0, 32, 95, 2), (7, 32, 100, 7), (0, 32, 31, 0)],
)
def test_batches_of_an_epoch_are_those_asked_for_or_one_pass(
    asked: int, batch: int, rows: int, expected: int
) -> None:
    assert TrainConfig(batch_size=batch, steps_per_epoch=asked).batches(rows) == expected
