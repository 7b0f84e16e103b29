"""Histories, multi-valued features, several labels: logs -> dataset -> pretraining -> ranking -> served model."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from sklearn.metrics import roc_auc_score
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from beam_pipelines.build_dataset import build
from tfrs_pretrain.config import Config
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.data.impressions import evaluation_batches
from tfrs_pretrain.data.planted import planted_config as planted_tree
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.pretraining.run import pretrain
from tfrs_pretrain.ranking.artifact import load_ranker
from tfrs_pretrain.ranking.model_teachers import ServedTeacher
from tfrs_pretrain.ranking.run import train_arm
from tfrs_pretrain.serving.export import check_scores, export
from tfrs_pretrain.serving.golden import Golden
from tfrs_pretrain.serving.model import ServedRanker
from tfrs_pretrain.serving.session import run_signature

pytestmark = pytest.mark.slow
LENGTH, VALUES = 6, 3


@pytest.fixture(scope="module")
def config():
    tree = planted_tree()
    tree["schema"] |= {"labels": ["liked", "shared"], "history": {"length": LENGTH}}
    [quality] = [feature for feature in tree["schema"]["features"] if feature["name"] == "quality"]
    quality["log1p"] = True
    tree["schema"]["features"] += [
        {"name": "tags", "source": "items", "kind": "multi_valued", "dtype": "string", "max_values": VALUES},
        {"name": "codes", "source": "impressions", "kind": "multi_valued", "dtype": "int64", "max_values": 2,
         "separator": "|", "oov_rows": 2},
        {"name": "seen", "source": "impressions", "kind": "multi_valued", "dtype": "int64", "max_values": 2,
         "privileged": True}]
    tree["ranking"] |= {"backbone": {"kind": "dcn_v2", "rank": 4}, "history": "attention", "labels": {"liked": 0.5},
                        "attention_hidden": [8], "head_hidden": [4], "epochs": 4}
    return Config.model_validate(tree)


@pytest.fixture(scope="module")
def dataset(config, planted_logs, tmp_path_factory):
    """The planted logs with lists and labels: tags say the topic, the others are noise; who clicks likes at times."""
    folder = tmp_path_factory.mktemp("every_kind")
    random = np.random.default_rng(3)
    for name in ("users", "engagements"):
        (folder / f"{name}.parquet").write_bytes((planted_logs / f"{name}.parquet").read_bytes())
    items, impressions = (pq.read_table(planted_logs / f"{name}.parquet") for name in ("items", "impressions"))
    tags = [[f"Thema {topic}", *random.choice(["neu", "日本", "alt"], random.integers(0, 4), replace=False)]
            for topic in items["topic_id"].to_pylist()]
    tags[7] = []
    pq.write_table(items.append_column("tags", pa.array(tags)), folder / "items.parquet")
    count = impressions.num_rows
    codes = ["|".join(map(str, random.integers(0, 9, random.integers(0, 4)))) for _ in range(count)]
    clicked = impressions["clicked"].to_numpy()
    liked = (clicked == 1) & (random.random(count) < 0.6) | (random.random(count) < 0.05)
    seen = [random.integers(0, 4, 1 + click).tolist() for click in clicked]
    for name, values in (("codes", codes), ("liked", liked), ("shared", liked), ("seen", seen)):
        impressions = impressions.append_column(name, pa.array(values))
    pq.write_table(impressions, folder / "impressions.parquet")
    build(config, folder, folder / "dataset")
    return Dataset.open(folder / "dataset")


@pytest.fixture(scope="module")
def trained(config, dataset, tmp_path_factory):
    """Folder of the distilled ranker on pretrained rows, and its manifest."""
    folder = tmp_path_factory.mktemp("every_kind_trained")
    pretrain(config, dataset, folder / "embeddings")
    return folder / "ranker", train_arm(config, dataset, "warm_start_distilled", folder / "ranker",
                                        embeddings=folder / "embeddings")


@pytest.fixture(scope="module")
def exported(config, dataset, trained, tmp_path_factory):
    models = tmp_path_factory.mktemp("every_kind_models")
    return models / config.name / "1", export(config, dataset, trained[0], models)


@pytest.fixture(scope="module")
def golden(exported):
    path, _ = exported
    return json.loads((path / "assets.extra/golden_requests.json").read_text())


def request(golden):
    dtypes = {"user_id": np.int64, "topic": np.int64, "codes": np.int64, "quality": np.float32}
    return {name: np.array([row[name] for row in golden["instances"]], dtypes.get(name, object))
            for name in golden["instances"][0]}


def test_each_head_predicts_its_label(trained):
    folder, manifest = trained
    assert manifest["labels"] == ["label", "liked"]
    scored = pq.read_table(folder / "predictions/test.parquet").to_pandas()
    assert {"label", "score", "label_liked", "score_liked"} <= set(scored.columns)
    assert not np.array_equal(scored["label"], scored["label_liked"])
    assert roc_auc_score(scored["label"], scored["score"]) > 0.65
    assert roc_auc_score(scored["label_liked"], scored["score_liked"]) > 0.55
    assert scored["score_liked"].mean() == pytest.approx(scored["label_liked"].mean(), rel=0.25)


def test_the_artifact_comes_back_whole(trained, dataset):
    ranker = load_ranker(trained[0], dataset)
    assert ranker.labels == ("label", "liked")
    assert [(row.name, row.table, row.length, row.pooling) for row in ranker.inputs.rows if row.length] == [
        ("tags", "tags", VALUES, "mean"), ("codes", "codes", 2, "mean"), ("history", "item", LENGTH, "attention")]
    assert set(ranker.tables) == {"user", "item", "surface", "topic", "country", "tags", "codes"}


def test_the_served_model_answers_golden_requests_as_the_trained_one_did(exported, trained, dataset, golden):
    path, manifest = exported
    served = run_signature(path, "serving_default", request(golden))
    judged = pq.read_table(trained[0] / "predictions/validation.parquet").to_pydict()
    keys = pq.read_table(dataset.folder / "golden.parquet")["key"].to_pylist()
    for name in ("score", "score_liked"):
        by_key = dict(zip(judged["key"], judged[name], strict=True))
        expected = [by_key[key] for key in keys]
        assert np.ptp(expected) > 0.05
        np.testing.assert_allclose(served[name], expected, rtol=0, atol=1e-5)
        np.testing.assert_allclose(golden["outputs"][name], expected, rtol=0, atol=1e-5)
    assert manifest["outputs"] == {"score": "label", "score_liked": "liked"}
    assert sum(values != "" for row in golden["instances"] for values in row["history"]) > len(keys)


def test_the_signature_takes_padded_raw_values(exported):
    path, manifest = exported
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        graph = tf.compat.v1.saved_model.loader.load(session, ["serve"], str(path))
    signature = graph.signature_def["serving_default"]
    shapes = {name: (tf.as_dtype(info.dtype).name, [size.size for size in info.tensor_shape.dim])
              for name, info in signature.inputs.items()}
    assert {name: shapes[name] for name in ("tags", "codes", "history", "user_id")} == {
        "tags": ("string", [-1, VALUES]), "codes": ("int64", [-1, 2]), "history": ("string", [-1, LENGTH]),
        "user_id": ("int64", [-1])}
    assert "seen" not in shapes
    assert sorted(signature.outputs) == ["score", "score_liked"]
    assert manifest["inputs"]["history"] == {"dtype": "string", "length": LENGTH}


def test_padding_may_stand_anywhere_and_counts_for_nothing(exported, golden):
    path, _ = exported
    inputs = request(golden)
    expected = run_signature(path, "serving_default", inputs)["score"]
    padding = {"tags": "", "codes": -1, "history": ""}
    moved = inputs | {name: np.array([[value for value in row if value == none] + [value for value in row if
                      value != none] for row in inputs[name].tolist()], inputs[name].dtype)
                      for name, none in padding.items()}
    assert any(not np.array_equal(moved[name], inputs[name]) for name in padding)
    np.testing.assert_allclose(run_signature(path, "serving_default", moved)["score"], expected, rtol=0, atol=1e-6)
    for name, none in padding.items():
        emptied = inputs | {name: np.full_like(inputs[name], none)}
        assert not np.allclose(run_signature(path, "serving_default", emptied)["score"], expected), name


def test_warmup_requests_are_answered(exported):
    path, _ = exported
    for record in tf.data.TFRecordDataset(str(path / "assets.extra/tf_serving_warmup_requests")).as_numpy_iterator():
        sent = PredictionLog.FromString(record).predict_log.request
        run_signature(path, "serving_default", {name: tf.make_ndarray(proto) for name, proto in sent.inputs.items()})


def test_the_served_model_can_teach_on_the_records_alone(exported, trained, dataset):
    """Raw values made up from the rows of records score as the raw values of the log did."""
    path, _ = exported
    teacher = ServedTeacher(path, dataset, ("label", "liked"))
    assert {"tags", "codes", "history"} <= set(teacher.columns)
    ranker = load_ranker(trained[0], dataset)
    for batch in evaluation_batches(dataset, "impressions/train", batch_size=500).take(2):
        np.testing.assert_allclose(teacher.logits(batch), ranker.logits(batch), rtol=0, atol=1e-4)


def test_only_the_tables_once_and_dense_weights_are_saved(trained, dataset, tmp_path):
    """The item table feeds two inputs."""
    ranker = load_ranker(trained[0], dataset)
    ServedRanker(ranker, dataset, tmp_path).save(tmp_path / "model")
    shapes = [shape for name, shape in tf.train.list_variables(str(tmp_path / "model/variables/variables"))
              if "OBJECT_GRAPH" not in name]
    tables = [table.rows * table.dim for table in ranker.tables.values()]
    assert sorted(int(np.prod(shape)) for shape in shapes) == sorted(
        [*tables, *(weight.size for weight in ranker.network.get_weights())])


def test_a_difference_in_any_output_stops_the_export():
    golden = Golden(np.array([7]), {}, {"score": np.array([0.5]), "score_liked": np.array([0.25])})
    with pytest.raises(UserError, match=r"output 'score_liked': golden impression 7 \(row 0\) is served as 0.3000000"):
        check_scores({"score": np.array([0.5]), "score_liked": np.array([0.3])}, golden, 1e-5)
