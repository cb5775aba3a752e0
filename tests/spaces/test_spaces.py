"""What every file in spaces/ keeps to; a new one is tested by being there."""

import ast
import math

import pytest

from search.sampler.fixed_values import contains
from search.space.loading import HOME, names
from search.space.validation import check_space, load_space
from trainable.cli.options import Kind, convert
from trainable.config import from_params, to_params
from trainable.validation import validate_against


@pytest.fixture(scope="module", params=names())
def checked(request):
    space = load_space(request.param)
    return space, check_space(space, {})


def test_it_is_a_pleasure_to_read(checked):
    space, _ = checked
    lines = space.source.splitlines()
    assert 20 <= len(lines) <= 40
    assert ast.get_docstring(ast.parse(space.source))
    assert sum(line.lstrip().startswith("# ") for line in lines) >= 3
    assert (HOME / f"{space.name}.py").read_text() == space.source


def test_warmup_is_at_most_half_of_all_steps(checked):
    space, facts = checked
    for config in facts.configs:
        params = to_params(config) | {"train/epochs": space.epochs}
        steps = 3000 if facts.max_warmup > 200 else 100
        validate_against(from_params(params), 100_000, facts.max_window, steps)


def test_every_sample_round_trips(checked):
    for config in checked[1].configs:
        assert from_params(to_params(config)) == config


def test_it_searches_and_its_cohorts_are_not_scattered(checked):
    _, facts = checked
    assert 3 <= facts.n_searched <= 15
    assert len(facts.shapes) <= 12


def values(name: str, key: str) -> set:
    group, field = key.split("/")
    configs = check_space(load_space(name), {}).configs
    return {getattr(getattr(config, group), field) for config in configs}


@pytest.mark.parametrize(
    ("name", "key", "low", "high"),
    [
        ("conservative", "optimizer/lr", 1e-5, 1e-4),
        ("conservative", "model/dropout", 0.25, 0.35),
        ("conservative", "train/batch_size", 32, 32),
        ("conservative", "train/patience", 25, 25),
        ("conservative", "optimizer/weight_decay", 3e-4, 3e-3),
        ("conservative", "schedule/warmup_steps", 2000, 5000),
        ("medium", "optimizer/lr", 3e-5, 3e-4),
        ("medium", "train/batch_size", 48, 48),
        ("medium", "schedule/warmup_steps", 2000, 5000),
        ("ambitious", "optimizer/lr", 2e-5, 2e-4),
        ("ambitious", "train/batch_size", 64, 64),
        ("quick_test", "optimizer/lr", 3e-4, 1e-2),
        ("quick_test", "schedule/warmup_steps", 0, 200),
    ],
)
def test_ranges_of_system_a(name, key, low, high):
    found = values(name, key)
    assert low <= min(found)
    assert max(found) <= high


@pytest.mark.parametrize("name", names())
def test_clip_is_searched_on_a_log_scale(name):
    clip = check_space(load_space(name), {}, 20).distributions["optimizer/clip"]
    assert clip.__dict__ | {"low": 0.5, "high": 5.0, "log": True} == clip.__dict__


def test_sizes_of_system_a():
    assert values("conservative", "model/hidden_dims") == {"32-16", "64-32", "64-32-16"}
    assert "128-64-32" in values("medium", "model/hidden_dims")
    assert values("ambitious", "model/hidden_dims") == {"256-128-64", "512-256-128-64"}
    epochs = [load_space(name).epochs for name in ("quick_test", "conservative", "ambitious")]
    assert epochs == [4, 50, 100]


def test_the_ranges_hold_what_system_a_used():
    used = {"conservative": 5e-5, "medium": 8e-5, "ambitious": 2e-4}
    for name, rate in used.items():
        lr = check_space(load_space(name), {}, 20).distributions["optimizer/lr"]
        assert contains(lr, rate) or math.isclose(rate, lr.__dict__["high"])
        assert convert(Kind(float), repr(rate), "optimizer/lr") == rate
