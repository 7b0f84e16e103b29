"""Prediction of unknown ids' rows in the ranker, against a loop over impressions."""

import numpy as np
import pytest
import tensorflow as tf

from tfrs_pretrain.features.ranker_input import NumericStatistics
from tfrs_pretrain.ranking.model.cold_rows import ColdRows, ColdRule, load_cold_rules

DIM, OOV_ROWS = 3, 2
NUMERIC = {"price": NumericStatistics(10.0, 4.0), "size": NumericStatistics(1.0, 2.0, log1p=True)}


def rule(seed=0):
    random = np.random.default_rng(seed)
    sizes = {"topic": 5, "tags": 4}
    values = {name: random.standard_normal((size, DIM)).astype(np.float32) for name, size in sizes.items()}
    return ColdRule(OOV_ROWS, random.standard_normal(DIM).astype(np.float32), values,
                    {name: random.standard_normal(DIM).astype(np.float32) for name in NUMERIC})


def columns(count=40, seed=1):
    random = np.random.default_rng(seed)
    lengths = random.integers(0, 4, count)
    price = np.where(random.random(count) < 0.2, np.nan, random.normal(10, 4, count))
    return {"item": random.integers(0, 5, count),
            "topic": random.integers(0, 7, count),  # rows 5 and 6 have no effect
            "tags": np.where(np.arange(3) < lengths[:, None], random.integers(0, 6, (count, 3)), -1),
            "price": price.astype(np.float32), "size": random.integers(0, 20, count).astype(np.float32)}


def naive(rule, batch, position):
    """The prediction for one impression."""
    total = rule.bias.astype(float)
    for name, effects in rule.values.items():
        rows = [row for row in np.atleast_1d(batch[name][position]) if row >= 0]
        for row in rows:
            total = total + (effects[row] if row < len(effects) else 0) / len(rows)
    price, size = batch["price"][position], batch["size"][position]
    total = total + (0 if np.isnan(price) else (price - 10) / 4) * rule.numbers["price"]
    return total + (np.log1p(size) - 1) / 2 * rule.numbers["size"]


def test_only_unknown_ids_are_predicted():
    batch, one = columns(), rule()
    rows = {"item": np.random.default_rng(2).standard_normal((40, DIM)).astype(np.float32)}
    filled = tf.function(ColdRows({"item": one}, NUMERIC).fill, autograph=False)(rows, batch)
    assert list(filled) == ["item"]
    unknown = batch["item"] < OOV_ROWS
    assert 5 < unknown.sum() < 35
    np.testing.assert_array_equal(filled["item"].numpy()[~unknown], rows["item"][~unknown])
    for position in np.flatnonzero(unknown):
        np.testing.assert_allclose(filled["item"][position], rows["item"][position] + naive(one, batch, position),
                                   rtol=1e-5, atol=1e-5)


def test_one_user_of_several_items_has_one_row():
    """Numeric features are broadcast to the items when a user's candidates are ranked."""
    batch = {name: values[:1] for name, values in columns().items()} | {"item": np.array([1])}
    broadcast = batch | {name: np.repeat(batch[name], 6) for name in NUMERIC}
    cold = ColdRows({"item": rule()}, NUMERIC)
    rows = {"item": np.zeros((1, DIM), np.float32)}
    np.testing.assert_array_equal(cold.fill(rows, broadcast)["item"], cold.fill(rows, batch)["item"])


def test_gradients_reach_the_shared_row():
    batch = columns()
    rows = tf.constant(np.ones((40, DIM), np.float32))
    with tf.GradientTape() as tape:
        tape.watch(rows)
        total = tf.reduce_sum(ColdRows({"item": rule()}, NUMERIC).fill({"item": rows}, batch)["item"])
    np.testing.assert_array_equal(tape.gradient(total, rows), np.ones((40, DIM)))


def test_saved_rules_are_read_back(tmp_path):
    rules = {"item": rule(), "user": ColdRule(1, np.ones(DIM, np.float32), {}, {})}
    ColdRows(rules, NUMERIC).save(tmp_path / "cold.npz")
    loaded = load_cold_rules(tmp_path / "cold.npz")
    assert list(loaded) == ["item", "user"]
    for space, one in rules.items():
        assert loaded[space].oov_rows == one.oov_rows
        np.testing.assert_array_equal(loaded[space].bias, one.bias)
        for part in ("values", "numbers"):
            found, expected = getattr(loaded[space], part), getattr(one, part)
            assert list(found) == list(expected)
            assert all(np.array_equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("factor", [0.5, 3.0])
def test_a_scaled_rule_predicts_scaled_differences(factor):
    batch, zero = columns(), {"item": np.zeros((40, DIM), np.float32)}
    rules = rule(), rule().scaled(factor)
    plain, scaled = (ColdRows({"item": one}, NUMERIC).fill(zero, batch)["item"] for one in rules)
    np.testing.assert_allclose(scaled, factor * plain.numpy(), rtol=1e-5, atol=1e-6)
