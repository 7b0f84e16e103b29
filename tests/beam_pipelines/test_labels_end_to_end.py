"""Labels that are recorded after a click only, and weighted impressions: from the logs to the evaluated ranker."""

import json

import numpy as np
import planted
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from beam_pipelines.build_dataset import build
from tfrs_pretrain.cli.summary import show_built
from tfrs_pretrain.config import Config
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.evaluation.bootstrap import Resampling
from tfrs_pretrain.evaluation.evaluate import evaluate
from tfrs_pretrain.experiments.logs.planted import write_planted_logs
from tfrs_pretrain.ranking.run import train_arm

DAYS = {"train": (20, 28), "validation": (28, 30), "test": (30, 34)}


def _config() -> Config:
    tree = planted.planted_config()
    tree["schema"] |= {"features": [], "labels": ["bought"], "optional_labels": ["bought"],
                       "impression_weight": "minutes", "propensity": "shown"}
    tree["dataset"] |= {"shards": 1, "golden_examples": 4, "max_weight": 5.0}
    tree["ranking"] |= {"labels": {"bought": 0.5}, "hidden": [8], "batch_size": 32, "arms": {
        "distilled": {"transfer": "scratch", "distillation": {"teacher": {"hidden": [8]}}}}}
    return Config.model_validate(tree | {"export": {"arm": "distilled"}})


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    """Logs with a purchase after half of the clicks, null without a click, weights and propensities. One row is bad."""
    folder = tmp_path_factory.mktemp("labels") / "raw"
    write_planted_logs(folder, users=40, items=50, engagements=1500, impressions=1000)
    table = pq.read_table(folder / "impressions.parquet")
    clicked = table["clicked"].to_numpy() == 1
    random = np.random.default_rng(0)
    bought = random.random(len(clicked)) < 0.5
    minutes, shown = random.integers(0, 4, len(clicked)), random.uniform(0.2, 1.0, len(clicked))
    shown[-1] = 0.0
    for name, column in {"bought": pa.array(bought, mask=~clicked), "minutes": minutes, "shown": shown}.items():
        table = table.append_column(name, pa.array(column))
    pq.write_table(table, folder / "impressions.parquet")
    return folder


@pytest.fixture(scope="module")
def dataset(logs):
    build(_config(), str(logs), str(logs.parent / "dataset"))
    return Dataset.open(logs.parent / "dataset")


def test_a_row_without_a_propensity_above_0_is_rejected(dataset):
    assert dataset.info["counts"]["impressions"]["rejected"] == {"propensity outside 0 and 1": 1}


def test_shares_of_missing_labels_are_counted_and_printed(dataset, logs, capsys):
    frame = pq.read_table(logs / "impressions.parquet").to_pandas().iloc[:-1]
    for window, (start, end) in DAYS.items():
        shown = frame[(frame.day >= start) & (frame.day < end)]
        split = dataset.info["splits"][f"impressions/{window}"]
        assert split["missing_label_share"] == {"bought": pytest.approx(shown.bought.isna().mean())}
        assert split["bought_rate"] == pytest.approx(shown.bought.dropna().astype(float).mean())
        assert split["label_rate"] == pytest.approx(shown.clicked.mean())
        assert split["weight_mean"] == pytest.approx((shown.minutes / shown.shown).clip(upper=5).mean(), rel=1e-6)
    show_built(dataset.info)
    share = frame[frame.day.between(20, 27)].bought.isna().mean()
    assert f"impressions/train: bought {share:.1%} of the impressions have no label" in capsys.readouterr().out


def test_the_ranker_is_trained_and_evaluated_on_the_labels_that_are_present(dataset, logs):
    output = logs.parent / "ranker"
    train_arm(_config(), dataset, "distilled", output, embeddings=None)
    table = pq.read_table(output / "predictions" / "test.parquet").to_pandas()
    present = table[table.label_bought.notna()]
    assert 0 < len(present) < len(table)
    assert present.label.eq(1).all()
    manifest = json.loads((output / "manifest.json").read_text())
    log = pq.read_table(logs / "impressions.parquet").to_pandas().iloc[:-1]
    log = log[log.day >= 30]
    np.testing.assert_allclose(sorted(table.weight), sorted((log.minutes / log.shown).clip(upper=5)), rtol=1e-6)
    main = manifest["metrics"]["test"]
    assert main["auc"] == pytest.approx(roc_auc_score(table.label, table.score, sample_weight=table.weight), abs=1e-9)
    recorded = main["labels"]["bought"]
    assert recorded["impressions"] == len(present)
    assert recorded["log_loss"] == pytest.approx(
        log_loss(present.label_bought, present.score_bought.astype(float), sample_weight=present.weight), abs=1e-6)
    evaluation = evaluate(output, label="bought", resampling=Resampling(10))
    assert evaluation.parts[0].models["model"]["log_loss"]["value"] == pytest.approx(recorded["log_loss"])
    assert np.isfinite(list(manifest["epochs"][0]["train"].values())).all()
