"""Models compared on the same impressions: pairing by drawn users, and slices."""

import numpy as np
import pytest
from planted_predictions import impressions
from sklearn.metrics import log_loss, roc_auc_score

from tfrs_pretrain.evaluation.bootstrap import Resampling
from tfrs_pretrain.evaluation.comparison import Comparison, ScoredImpressions, compare
from tfrs_pretrain.evaluation.slices import Slicing


@pytest.fixture(scope="module")
def scored():
    columns, logits = impressions()
    noise = np.random.default_rng(2).normal(0, 0.4, len(logits))
    scores = {name: (1 / (1 + np.exp(-values))).astype(np.float32)
              for name, values in (("one", logits), ("other", logits + noise), ("copy", logits))}
    return ScoredImpressions(columns["label"], columns["user"], columns["request"], scores)


@pytest.fixture(scope="module")
def places():
    columns, _ = impressions()
    return columns["feature.place"].indices.to_numpy()


def test_values_are_those_of_the_impressions_of_each_part(scored, places):
    found = compare(scored, [Slicing("place", ("top", "side", "?"), places)], Resampling(20))
    assert [(part.slicing, part.name) for part in found.parts] == [
        ("all", "all"), ("place", "top"), ("place", "side"), ("place", "?")]
    for number, rows in enumerate([places >= 0, *(places == value for value in range(3))]):
        labels = scored.labels[rows]
        part = found.parts[number]
        assert (part.impressions, part.positives, part.users) == (
            rows.sum(), labels.sum(), len(set(scored.users[rows])))
        for model, scores in scored.scores.items():
            metrics = found.metrics(model, number)
            assert metrics["auc"]["value"] == pytest.approx(roc_auc_score(labels, scores[rows]))
            assert metrics["log_loss"]["value"] == pytest.approx(log_loss(labels, scores[rows].astype(float)))
            assert metrics["auc"]["low"] < metrics["auc"]["value"] < metrics["auc"]["high"]
    assert found.part("place", "side") == 2
    with pytest.raises(KeyError, match="place=roof"):
        found.part("place", "roof")


def test_differences_are_paired(scored):
    found = compare(scored, [], Resampling(400))
    difference = found.difference("one", "other")["auc"]
    one, other = (found.metrics(name)["auc"] for name in ("one", "other"))
    assert difference["value"] == pytest.approx(one["value"] - other["value"])
    width = difference["high"] - difference["low"]
    # The width if the models had been evaluated on different users.
    apart = np.hypot(one["high"] - one["low"], other["high"] - other["low"])
    assert 0 < width < apart / 2
    assert difference["low"] > 0
    assert difference["p"] == pytest.approx(2 / 401)
    turned = found.difference("other", "one")["auc"]
    assert (turned["value"], turned["low"], turned["high"]) == pytest.approx(
        (-difference["value"], -difference["high"], -difference["low"]))


def test_replicates_of_a_difference_are_differences_of_the_same_draw(scored):
    """A twin that draws users by copying rows, with the generator that is documented to draw them."""
    found = compare(scored, [], Resampling(30, seed=4)).difference("one", "other")["auc"]
    generator, count = np.random.default_rng(4), scored.users.max() + 1
    rows_of, twins = [np.flatnonzero(scored.users == user) for user in range(count)], []
    for _ in range(30):
        rows = np.concatenate([rows_of[user] for user in generator.integers(0, count, count)])
        one, other = (roc_auc_score(scored.labels[rows], scored.scores[name][rows]) for name in ("one", "other"))
        twins.append(one - other)
    expected = np.quantile(twins, [0.025, 0.975], method="weibull")
    assert (found["low"], found["high"]) == pytest.approx(tuple(expected), abs=1e-10)


def test_a_copy_differs_by_nothing(scored):
    found = compare(scored, [], Resampling(50)).difference("copy", "one")
    for difference in found.values():
        assert (difference["value"], difference["low"], difference["high"], difference["p"]) == (0, 0, 0, 1)


def test_undefined_estimates_are_none(scored):
    codes = np.full(len(scored.labels), -1)
    codes[:10] = 0
    negative = np.flatnonzero(scored.labels == 0)[:3]
    codes[negative] = 1
    one_user = np.flatnonzero(scored.users == scored.users[100])
    codes[one_user] = 2
    found = compare(scored, [Slicing("odd", ("few", "negatives", "one user", "none"), codes)], Resampling(30))
    assert found.metrics("one", found.part("odd", "negatives"))["auc"] == {"value": None, "low": None, "high": None}
    alone = found.part("odd", "one user")
    assert found.metrics("one", alone)["auc"]["value"] > 0.5
    assert found.metrics("one", alone)["auc"]["low"] is None
    assert found.difference("one", "other", alone)["auc"]["p"] is None
    nothing = found.part("odd", "none")
    assert found.parts[nothing].impressions == 0
    assert {value["value"] for value in found.metrics("one", nothing).values()} == {None}


def test_without_requests_only_what_needs_them_is_undefined(scored):
    bare = ScoredImpressions(scored.labels, scored.users, None, scored.scores)
    found = compare(bare, [], Resampling(5)).metrics("one")
    assert {name for name, value in found.items() if value["value"] is None} == {
        "recall@5", "ndcg@5", "recall@10", "ndcg@10"}


def test_the_json_contains_every_part_model_and_difference(scored, places):
    slicing = Slicing("place", ("top",), np.where(places == 0, 0, -1))
    parts = [result.to_json() for result in compare(scored, [slicing], Resampling(20)).part_results("one")]
    assert [part["name"] for part in parts] == ["all", "top"]
    assert set(parts[1]["models"]) == {"one", "other", "copy"}
    assert set(parts[1]["differences"]) == {"other", "copy"}
    assert set(parts[1]["differences"]["other"]["auc"]) == {"value", "low", "high", "p"}


def test_one_user_alone_has_no_interval():
    labels, scores = np.array([1.0, 0.0, 1.0]), {"one": np.array([0.7, 0.4, 0.8]), "other": np.array([0.1, 0.4, 0.8])}
    found = compare(ScoredImpressions(labels, np.zeros(3, int), None, scores), [], Resampling(10))
    assert found.metrics("one")["auc"] == {"value": 1.0, "low": None, "high": None}
    assert found.difference("one", "other")["auc"] == {"value": 0.5, "low": None, "high": None, "p": None}


def test_models_judged_apart_are_compared_as_if_together(scored, places):
    cuts = [Slicing("place", ("top", "side", "?"), places)]
    together = compare(scored, cuts, Resampling(25))
    apart = Comparison.joined([
        compare(ScoredImpressions(scored.labels, scored.users, scored.requests, {name: scores}), cuts, Resampling(25))
        for name, scores in scored.scores.items()])
    assert apart.models == together.models
    for part in range(4):
        assert apart.difference("one", "other", part) == together.difference("one", "other", part)
    with pytest.raises(ValueError, match="same parts and draws"):
        Comparison.joined([together, compare(scored, cuts, Resampling(25, seed=3))])


def test_mean_over_pairs(scored):
    found = compare(scored, [], Resampling(40))
    both = found.mean_difference([("one", "other"), ("copy", "other")])
    assert both == found.difference("one", "other")  # copy is one again
    none = found.mean_difference([("one", "other"), ("other", "one")])["auc"]
    assert (none["value"], none["low"], none["high"]) == (0, 0, 0)
    assert found.mean_metrics(["one", "copy"]) == found.metrics("one")
    assert found.value("one", 0, "auc") == found.metrics("one")["auc"]["value"]


def test_the_standard_error_is_the_spread_of_the_replicates(scored):
    """A twin that draws users by copying impressions."""
    found = compare(scored, [], Resampling(30, seed=4)).standard_error([("one", "other")], "log_loss")
    generator, n_users = np.random.default_rng(4), scored.users.max() + 1
    positions = [np.flatnonzero(scored.users == user) for user in range(n_users)]
    differences = []
    for _ in range(30):
        rows = np.concatenate([positions[user] for user in generator.integers(0, n_users, n_users)])
        one, other = (log_loss(scored.labels[rows], scored.scores[name][rows].astype(float))
                      for name in ("one", "other"))
        differences.append(one - other)
    assert found == pytest.approx(np.std(differences, ddof=1), rel=1e-9)


def test_a_difference_without_an_interval_has_no_standard_error():
    scores = {"one": np.array([0.7, 0.4]), "other": np.array([0.1, 0.4])}
    alone = compare(ScoredImpressions(np.array([1.0, 0.0]), np.zeros(2, int), None, scores), [], Resampling(10))
    assert alone.standard_error([("one", "other")], "auc") is None
