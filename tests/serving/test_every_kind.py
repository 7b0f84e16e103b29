"""Histories, multi-valued features, several labels: logs -> dataset -> pretraining -> ranking -> served model."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from loaded_models import run_signature
from sklearn.metrics import roc_auc_score

from tfrs_pretrain.data.impressions import evaluation_batches
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.ranking.distillation.model_teachers import ServedTeacher
from tfrs_pretrain.ranking.model.artifact import load_ranker
from tfrs_pretrain.serving.exporting.export_checks import check_answer
from tfrs_pretrain.serving.exporting.golden_requests import GoldenRequest
from tfrs_pretrain.serving.graph.served_ranker import ServedRanker
from tfrs_pretrain.serving.graph.signatures import save
from tfrs_pretrain.serving.session import LoadedModel

pytestmark = pytest.mark.slow
LENGTH, VALUES = 6, 3  # of the fixtures' history and tags


@pytest.fixture(scope="module")
def golden(kinds_export):
    path, _ = kinds_export
    return json.loads((path / "assets.extra/golden_requests.json").read_text())


def request(golden):
    dtypes = {"user_id": np.int64, "topic": np.int64, "codes": np.int64, "quality": np.float32}
    return {name: np.array([row[name] for row in golden["instances"]], dtypes.get(name, object))
            for name in golden["instances"][0]}


def test_each_head_predicts_its_label(kinds_ranker):
    folder, manifest = kinds_ranker
    assert manifest["labels"] == ["label", "liked"]
    scored = pq.read_table(folder / "predictions/test.parquet").to_pandas()
    assert {"label", "score", "label_liked", "score_liked"} <= set(scored.columns)
    assert not np.array_equal(scored["label"], scored["label_liked"])
    assert roc_auc_score(scored["label"], scored["score"]) > 0.65
    assert roc_auc_score(scored["label_liked"], scored["score_liked"]) > 0.55
    assert scored["score_liked"].mean() == pytest.approx(scored["label_liked"].mean(), rel=0.25)


def test_the_loaded_artifact_has_all_inputs(kinds_ranker, kinds_dataset):
    ranker = load_ranker(kinds_ranker[0], kinds_dataset)
    assert ranker.labels == ("label", "liked")
    assert [(row.name, row.table, row.length, row.pooling) for row in ranker.inputs.rows if row.length] == [
        ("tags", "tags", VALUES, "mean"), ("codes", "codes", 2, "mean"), ("history", "item", LENGTH, "attention")]
    assert set(ranker.tables) == {"user", "item", "surface", "topic", "country", "tags", "codes"}


def test_golden_requests_return_the_trained_scores_of_both_heads(
        kinds_export, kinds_ranker, kinds_dataset, golden):
    path, version = kinds_export
    served = run_signature(path, "serving_default", request(golden))
    judged = pq.read_table(kinds_ranker[0] / "predictions/validation.parquet").to_pydict()
    keys = pq.read_table(kinds_dataset.folder / "golden.parquet")["key"].to_pylist()
    for name in ("score", "score_liked"):
        by_key = dict(zip(judged["key"], judged[name], strict=True))
        expected = [by_key[key] for key in keys]
        assert np.ptp(expected) > 0.05
        np.testing.assert_allclose(served[name], expected, rtol=0, atol=1e-5)
        np.testing.assert_allclose(golden["outputs"][name], expected, rtol=0, atol=1e-5)
    assert version.report.contents.outputs == {"score": "label", "score_liked": "liked"}
    assert sum(values != "" for row in golden["instances"] for values in row["history"]) > len(keys)


def test_the_signature_takes_raw_values_and_lists_of_any_length(kinds_export):
    path, version = kinds_export
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        graph = tf.compat.v1.saved_model.loader.load(session, ["serve"], str(path))
    signature = graph.signature_def["serving_default"]
    shapes = {name: (tf.as_dtype(info.dtype).name, [size.size for size in info.tensor_shape.dim])
              for name, info in signature.inputs.items()}
    assert {name: shapes[name] for name in ("tags", "codes", "history", "user_id")} == {
        "tags": ("string", [-1, -1]), "codes": ("int64", [-1, -1]), "history": ("string", [-1, -1]),
        "user_id": ("int64", [-1])}
    assert "seen" not in shapes
    assert sorted(signature.outputs) == ["score", "score_liked"]
    assert version.report.to_json()["inputs"]["history"] == {"dtype": "string", "length": LENGTH, "side": "user"}


def test_padding_is_ignored_at_any_position(kinds_export, golden):
    inputs = request(golden)
    served = LoadedModel(kinds_export[0])
    expected = served.run("serving_default", inputs)["score"]
    padding = {"tags": "", "codes": -1, "history": ""}
    moved = inputs | {name: np.array([[value for value in row if value == none] + [value for value in row if
                      value != none] for row in inputs[name].tolist()], inputs[name].dtype)
                      for name, none in padding.items()}
    assert any(not np.array_equal(moved[name], inputs[name]) for name in padding)
    np.testing.assert_allclose(served.run("serving_default", moved)["score"], expected, rtol=0, atol=1e-6)
    for name, none in padding.items():
        emptied = inputs | {name: np.full_like(inputs[name], none)}
        assert not np.allclose(served.run("serving_default", emptied)["score"], expected), name


def test_the_served_model_teaches_from_records(kinds_export, kinds_ranker, kinds_dataset):
    """Raw values reconstructed from the rows of records have the scores of the log's raw values."""
    path, _ = kinds_export
    teacher = ServedTeacher(path, kinds_dataset, ("label", "liked"))
    assert {"tags", "codes", "history"} <= set(teacher.columns)
    ranker = load_ranker(kinds_ranker[0], kinds_dataset)
    for batch in evaluation_batches(kinds_dataset, "impressions/train", batch_size=500).take(2):
        np.testing.assert_allclose(teacher.logits(batch), ranker.logits(batch), rtol=0, atol=1e-4)


def test_tables_are_saved_once(kinds_ranker, kinds_dataset, tmp_path):
    """The item table feeds two inputs."""
    ranker = load_ranker(kinds_ranker[0], kinds_dataset)
    save(ServedRanker(ranker, kinds_dataset, tmp_path), tmp_path / "model")
    shapes = [shape for name, shape in tf.train.list_variables(str(tmp_path / "model/variables/variables"))
              if "OBJECT_GRAPH" not in name]
    tables = [table.num_rows * table.dim for table in ranker.tables.values()]
    assert sorted(int(np.prod(shape)) for shape in shapes) == sorted(
        [*tables, *(weight.size for weight in ranker.network.get_weights())])


def test_a_difference_in_any_output_stops_the_export():
    request = GoldenRequest("serving_default", {}, {"score": np.array([0.5]), "score_liked": np.array([0.25])}, ["it"])
    with pytest.raises(UserError, match=r"output 'score_liked': it \(row 0\) is served as 0.3000000"):
        check_answer(request, {"score": np.array([0.5]), "score_liked": np.array([0.3])}, 1e-5)
