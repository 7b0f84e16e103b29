"""Fitting what side features say about pretrained rows."""

import numpy as np
import pytest

from tfrs_pretrain.ranking.model.cold_rows import ColdRows
from tfrs_pretrain.ranking.model.inputs import Inputs
from tfrs_pretrain.ranking.transfer import cold_features
from tfrs_pretrain.ranking.transfer.cold_features import fit_cold_rows
from tfrs_pretrain.ranking.transfer.pretrained_rows import is_pretrained


@pytest.fixture
def informative(planted, with_split):
    """Training impressions in which an item's price determines the second column of its row."""
    random = np.random.default_rng(5)
    item = random.permutation(np.arange(3000) % 253)
    price = 3 + 2 * planted.items[item, 1]
    return with_split("train", item=item, user=random.integers(0, 152, 3000), price=price.astype(np.float32),
                      item_id=[f"i{row}" for row in item], user_id=random.integers(0, 9, 3000))


def test_a_feature_that_determines_a_column_predicts_it(informative, planted, config):
    inputs, known = Inputs.of(informative, config.ranking, privileged=False), is_pretrained(informative, "item")
    fit = fit_cold_rows(informative, inputs, "item", planted.items, known)
    share = planted.items[3:, 1].var() / planted.items[3:].var(axis=0).sum()
    assert fit.num_ids == 250
    assert fit.r2 == pytest.approx(share, abs=0.05)
    assert (fit.rule.oov_rows, list(fit.rule.values), list(fit.rule.numbers)) == (3, [], ["price"])
    rows = {"item": np.tile(planted.items[3:].mean(axis=0), (3, 1))}
    batch = {"item": np.array([0, 1, 2]), "price": (3 + 2 * planted.items[:3, 1]).astype(np.float32)}
    filled = ColdRows({"item": fit.rule}, inputs.numeric).fill(rows, batch)["item"].numpy()
    np.testing.assert_allclose(filled[:, 1], planted.items[:3, 1], atol=0.05)
    assert "0.1" in fit.describe("item")
    assert "unknown ids start at the prediction" in fit.describe("item")


def test_a_feature_without_information_is_not_used(planted, config):
    inputs, known = Inputs.of(planted.dataset, config.ranking, privileged=False), is_pretrained(planted.dataset, "item")
    fit = fit_cold_rows(planted.dataset, inputs, "item", planted.items, known)
    assert fit.rule is None
    assert fit.r2 <= 0.01
    assert "unknown ids start at random rows" in fit.describe("item")


def test_a_space_without_features_has_no_prediction(planted, config):
    inputs, known = Inputs.of(planted.dataset, config.ranking, privileged=False), is_pretrained(planted.dataset, "user")
    fit = fit_cold_rows(planted.dataset, inputs, "user", planted.users, known)
    assert (fit.rule, fit.r2, fit.num_ids) == (None, None, 0)
    assert "no side features" in fit.describe("user")


def test_too_few_ids_have_no_prediction(informative, planted, config):
    inputs = Inputs.of(informative, config.ranking, privileged=False)
    known = np.zeros(253, bool)
    known[10:30] = True
    assert fit_cold_rows(informative, inputs, "item", planted.items, known).rule is None


def test_values_beyond_the_column_limit_have_no_effect(planted, config, with_split, monkeypatch):
    """With a limit of one value a feature has one effect, however many values it has."""
    monkeypatch.setattr(cold_features, "MAX_COLUMNS", 1)
    dataset = with_split("train", item=np.arange(3000) % 253, user=np.zeros(3000, int), user_id=np.zeros(3000, int),
                         item_id=["x"] * 3000, place=np.arange(3000) % 253 % 3)
    features = [feature.model_copy(update={"source": "items"}) if feature.name == "place" else feature
                for feature in dataset.schema.features]
    dataset.__dict__["schema"] = dataset.schema.model_copy(update={"features": tuple(features)})
    inputs, rows = Inputs.of(dataset, config.ranking, privileged=False), np.zeros((253, 8), np.float32)
    rows[:, 0] = np.arange(253) % 3 == 0
    fit = fit_cold_rows(dataset, inputs, "item", rows, is_pretrained(dataset, "item"))
    assert fit.rule.values["place"].shape == (1, 8)
    assert fit.r2 > 0.9
