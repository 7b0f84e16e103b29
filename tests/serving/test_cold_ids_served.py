"""Unknown ids whose rows are predicted from side features: training -> artifact -> served model."""

import json

import numpy as np
import pytest
from loaded_models import run_signature

from tfrs_pretrain.artifacts import read_manifest
from tfrs_pretrain.config import Config
from tfrs_pretrain.pretraining.run import pretrain
from tfrs_pretrain.ranking.model.artifact import load_ranker
from tfrs_pretrain.ranking.model.ranker import build_ranker
from tfrs_pretrain.ranking.run import train_arm
from tfrs_pretrain.serving.exporting.export import export
from tfrs_pretrain.serving.exporting.quantization import quantized
from tfrs_pretrain.serving.exporting.reference_scorer import ReferenceScorer

pytestmark = pytest.mark.slow
TRANSFER = {"kind": "warm_start", "cold_rows": "features", "pretrained_rms": 0.3, "shrinkage": 5.0, "evidence": 10.0}
DTYPES = {"user_id": np.int64, "topic": np.int64, "codes": np.int64, "quality": np.float32}


@pytest.fixture(scope="module")
def cold_config(kinds_config):
    tree = kinds_config.resolved()
    tree["ranking"] |= {"arms": {"cold": {"transfer": TRANSFER}}, "epochs": 2}
    tree["export"] |= {"arm": "cold"}
    return Config.model_validate(tree)


@pytest.fixture(scope="module")
def cold_ranker(cold_config, kinds_dataset, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cold")
    pretrain(cold_config, kinds_dataset, folder / "embeddings")
    train_arm(cold_config, kinds_dataset, "cold", folder / "ranker", embeddings=folder / "embeddings")
    return folder / "ranker"


@pytest.fixture(scope="module")
def cold_export(cold_config, kinds_dataset, cold_ranker, tmp_path_factory):
    models = tmp_path_factory.mktemp("cold_models")
    export(cold_config, kinds_dataset, cold_ranker, models)
    return models / cold_config.name / "1"


def request_of_unknown_ids(path):
    """The golden impressions with ids that nobody has seen."""
    golden = json.loads((path / "assets.extra/golden_requests.json").read_text())["instances"]
    inputs = {name: np.array([row[name] for row in golden], DTYPES.get(name, object)) for name in golden[0]}
    return inputs | {"item_id": np.array([f"new-{row}" for row in range(len(golden))], object),
                     "user_id": np.arange(len(golden)) + 10**7}


def test_the_artifact_has_a_rule_for_each_space_with_informative_features(cold_ranker, kinds_dataset):
    rules = load_ranker(cold_ranker, kinds_dataset).cold_rows.rules
    assert {space: (set(rule.values), set(rule.numbers)) for space, rule in rules.items()} == {
        "user": ({"country"}, set()), "item": ({"topic", "tags"}, {"quality"})}
    assert {space: rule.oov_rows for space, rule in rules.items()} == {"user": 2, "item": 8}


def test_served_scores_of_unknown_ids_equal_the_trained_rankers(cold_export, cold_ranker, kinds_dataset):
    inputs, ranker = request_of_unknown_ids(cold_export), load_ranker(cold_ranker, kinds_dataset)
    served = run_signature(cold_export, "serving_default", inputs)["score"]
    expected = ReferenceScorer(ranker, kinds_dataset).scores(inputs)["score"]
    np.testing.assert_allclose(served, expected, rtol=0, atol=1e-5)
    plain = build_ranker(ranker.inputs, {name: table.numpy() for name, table in ranker.tables.items()}, ranker.network,
                         labels=ranker.labels)
    assert np.abs(ReferenceScorer(plain, kinds_dataset).scores(inputs)["score"] - expected).max() > 1e-3


def test_ranking_unknown_candidates_of_one_user_equals_scoring_them(cold_export):
    inputs = {name: values[:20] for name, values in request_of_unknown_ids(cold_export).items()}
    user = {name: values[:1] for name, values in inputs.items() if name in ("user_id", "country", "history")}
    one_user = inputs | {name: np.repeat(values, 20, axis=0) for name, values in user.items()}
    expected = run_signature(cold_export, "serving_default", one_user)["score"]
    assert np.ptp(expected) > 1e-3
    np.testing.assert_allclose(run_signature(cold_export, "rank", inputs | user)["score"], expected, rtol=0, atol=1e-5)


def test_quantized_tables_keep_the_rules(cold_ranker, kinds_dataset):
    ranker = load_ranker(cold_ranker, kinds_dataset)
    rules, kept = ranker.cold_rows.rules, quantized(ranker, "float16").cold_rows.rules
    assert list(kept) == list(rules)
    for space, rule in rules.items():
        np.testing.assert_array_equal(kept[space].bias, rule.bias)


def test_the_manifest_records_how_well_features_predict_rows(cold_ranker):
    fits = read_manifest(cold_ranker, "ranker")["cold_fits"]
    assert {space: fit["used"] for space, fit in fits.items()} == {"user": True, "item": True}
    assert all(0 < fit["r2"] < 1 and fit["ids"] > 100 for fit in fits.values())
