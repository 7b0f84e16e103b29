"""Trained rankers score the impressions of other datasets."""

import copy
import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
from resealed import rewrite
from sklearn.metrics import roc_auc_score

from tfrs_pretrain.config import Config
from tfrs_pretrain.config.gate import Gate
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.evaluation.bootstrap import Resampling
from tfrs_pretrain.evaluation.evaluate import evaluate
from tfrs_pretrain.evaluation.predictions import Predictions
from tfrs_pretrain.evaluation.promotion import promote
from tfrs_pretrain.json_documents import json_digest
from tfrs_pretrain.ranking.rescore import scoring
from tfrs_pretrain.ranking.run import train_arm


@pytest.fixture(scope="module")
def rankers(planted, planted_embeddings, tmp_path_factory):
    config, folder = Config.model_validate(planted.dataset.info["config"]), tmp_path_factory.mktemp("rescore")
    for arm in ("scratch", "warm_start"):
        train_arm(config, planted.dataset, arm, folder / arm, embeddings=planted_embeddings)
    return folder


def test_scores_of_its_own_dataset_are_the_stored_ones(rankers, planted):
    stored = Predictions.open(rankers / "scratch")
    scored = scoring([planted.dataset])(rankers / "scratch", "test", "label")
    assert scored.table.column_names == pq.read_schema(rankers / "scratch" / "predictions" / "test.parquet").names
    # What judging does not need is not read.
    assert set(scored.table.column_names) - set(stored.table.column_names) == {"item_id", "user", "item"}
    np.testing.assert_array_equal(scored.keys, stored.keys)
    np.testing.assert_allclose(scored.scores, stored.scores, atol=1e-6)
    assert scored.source["dataset_digest"] == stored.source["dataset_digest"]


def test_what_slices_need_is_what_the_dataset_knows(rankers, planted):
    stored = pq.read_table(rankers / "scratch" / "predictions" / "test.parquet").to_pandas()
    items, users = (planted.dataset.vocabulary(name) for name in ("item", "user"))
    # Rows 0 to 2 are shared by unknown items, row 3 is the most frequent of 250.
    expected = np.where(stored["item"] < 3, 0, 250 - (stored["item"] - 3))
    np.testing.assert_array_equal(stored["item_count"], expected)
    np.testing.assert_array_equal(stored["user_count"], users.row_counts[stored["user"]])
    assert items.row_counts[3] == 250
    assert set(stored["feature.place"]) == {"(unknown)", "top", "side"}
    assert set(stored["feature.outcome"]) == {"(unknown)", "0", "1"}


def test_both_models_are_judged_on_other_impressions(rankers, with_split, planted):
    random = np.random.default_rng(9)
    user, item = random.integers(2, 150, 900), random.integers(3, 250, 900)
    logits = 2.0 * (planted.users[user] * planted.items[item]).sum(1)
    label = (random.random(900) < 1 / (1 + np.exp(-logits))).astype(np.float32)
    later = with_split("test", user=user, item=item, user_id=(user - 2) * 3, label=label)
    read = scoring([later])
    result = evaluate(rankers / "warm_start", rankers / "scratch", resampling=Resampling(50), read=read).to_json()
    whole = result["parts"][0]
    assert whole["impressions"] == 900
    scored = read(rankers / "warm_start", "test", "label")
    assert whole["models"]["model"]["auc"]["value"] == pytest.approx(roc_auc_score(label, scored.scores))
    assert result["models"]["model"]["scored_on"] == str(later.folder)
    gate = Gate.model_validate({"non_inferior": {"auc": 0.0}, "replicates": 100})
    assert promote(rankers / "warm_start", gate, rankers / "scratch", read).verdict == "promoted"
    assert promote(rankers / "scratch", gate, rankers / "warm_start", read).verdict == "refused"


def _changed(dataset, **info):
    return Dataset(dataset.folder, dataset.info | info)


@pytest.fixture
def foreign(planted):
    """The dataset as if it had been built with another vocabulary of users."""
    vocabularies = planted.dataset.info["vocabularies"] | {"user": {"rows": 152, "digest": "0" * 64}}
    return _changed(planted.dataset, vocabularies=vocabularies)


def test_foreign_vocabularies_are_refused(rankers, foreign):
    with pytest.raises(UserError, match=r"another vocabulary 'user' .*build_impressions --vocabulary") as caught:
        scoring([foreign])(rankers / "scratch", "test", "label")
    assert "\n" not in str(caught.value)


def test_each_ranker_scores_the_dataset_with_its_own_vocabularies(rankers, planted, foreign, tmp_path):
    """Last week's and this week's ranker, whose vocabularies differ, on the same impressions."""
    other = tmp_path / "other"
    shutil.copytree(rankers / "warm_start", other)
    manifest = json.loads((other / "manifest.json").read_text())
    manifest["vocabularies"]["user"] = foreign.digests["user"]
    rewrite(other / "manifest.json", manifest)
    read = scoring([foreign, planted.dataset])
    assert read(rankers / "warm_start", "test", "label").source["dataset_digest"] == json_digest(planted.dataset.info)
    with pytest.raises(UserError, match="is not the one this dataset was built with"):
        read(other, "test", "label")  # the foreign one was chosen


def test_missing_columns_and_splits_are_named(rankers, planted):
    info = copy.deepcopy(planted.dataset.info)
    info["config"]["schema"]["features"] = [
        feature for feature in info["config"]["schema"]["features"] if feature["name"] != "price"]
    with pytest.raises(UserError, match=r"cannot score .*no column 'price'"):
        scoring([_changed(planted.dataset, config=info["config"])])(rankers / "scratch", "test", "label")
    splits = {"impressions/test": planted.dataset.info["splits"]["impressions/test"]}
    with pytest.raises(UserError, match=r"no impressions of split 'validation', it has \['test'\]"):
        scoring([_changed(planted.dataset, splits=splits)])(rankers / "scratch", "validation", "label")
