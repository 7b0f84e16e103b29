"""Exported versions: their files, their answers, and what remains after a failed export."""

import json
import shutil
import tempfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from loaded_models import run_signature
from resealed import reseal
from small_files import file_size_limit
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from tfrs_pretrain import __version__
from tfrs_pretrain.config import ExportConfig
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.evaluation.predictions import Predictions
from tfrs_pretrain.features.raw_input import RawInput
from tfrs_pretrain.json_documents import without_digest
from tfrs_pretrain.serving.exporting import export as module
from tfrs_pretrain.serving.exporting.export import export, next_version
from tfrs_pretrain.serving.exporting.export_checks import check_answer, check_answers
from tfrs_pretrain.serving.exporting.golden_requests import GoldenRequest
from tfrs_pretrain.serving.exporting.prediction_logs import serialize_examples
from tfrs_pretrain.serving.session import LoadedModel
from tfrs_pretrain.system_errors import describe_system_error

NAME = "planted_ranker"


def request_columns(instances):
    dtypes = {int: np.int64, float: np.float32, str: object}
    return {name: np.array([row[name] for row in instances], dtypes[type(value)])
            for name, value in instances[0].items()}


def test_the_version_folder_is_complete(exported):
    models, version = exported
    assert (version.path, version.version) == (models / NAME / "1", 1)
    assert [path.name for path in (models / NAME).iterdir()] == ["1"]
    assert sorted(path.name for path in (models / NAME / "1").iterdir()) == [
        "assets", "assets.extra", "fingerprint.pb", "saved_model.pb", "variables"]
    assert sorted(path.name for path in (models / NAME / "1" / "assets.extra").iterdir()) == [
        "golden_requests.json", "golden_requests.tfrecord", "manifest.json", "model_card.json", "model_card.md",
        "ranker_manifest.json", "served_state", "table_manifest.json", "tf_serving_warmup_requests"]


def test_golden_requests_return_the_trained_models_scores(exported, ranker_folder, tiny_dataset):
    """Expected: the scores that Stage II stored for the validation window, found by the impressions' keys."""
    models, _ = exported
    golden = json.loads((models / NAME / "1/assets.extra/golden_requests.json").read_text())
    served = run_signature(models / NAME / "1", golden["signature_name"], request_columns(golden["instances"]))["score"]
    judged = pq.read_table(ranker_folder / "predictions/validation.parquet")
    by_key = dict(zip(judged["key"].to_pylist(), judged["score"].to_pylist(), strict=True))
    keys = pq.read_table(tiny_dataset.folder / "golden.parquet")["key"].to_pylist()
    assert len(keys) == 32
    expected = [by_key[key] for key in keys]
    assert np.ptp(expected) > 0.05
    np.testing.assert_allclose(served, expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(golden["outputs"]["score"], expected, rtol=0, atol=1e-6)


def test_the_signature_takes_raw_values_by_name(exported):
    models, _ = exported
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        graph = tf.compat.v1.saved_model.loader.load(session, ["serve"], str(models / NAME / "1"))
    signature = graph.signature_def["serving_default"]
    types = {name: (tf.as_dtype(info.dtype).name, [size.size for size in info.tensor_shape.dim])
             for name, info in signature.inputs.items()}
    assert types == {"user_id": ("int64", [-1]), "item_id": ("string", [-1]), "surface": ("string", [-1]),
                     "topic": ("int64", [-1]), "quality": ("float32", [-1]), "country": ("string", [-1])}
    assert {name: tf.as_dtype(info.dtype).name for name, info in signature.outputs.items()} == {"score": "float32"}


def sent(log):
    """Model spec and inputs of a logged request."""
    for kind in ("predict_log", "classify_log", "regress_log"):
        if log.HasField(kind):
            request = getattr(log, kind).request
            if kind == "predict_log":
                inputs = {name: tf.make_ndarray(proto) for name, proto in request.inputs.items()}
            else:
                inputs = {"inputs": np.array([example.SerializeToString()
                                              for example in request.input.example_list.examples], object)}
            return request.model_spec, inputs
    raise AssertionError("neither Predict nor Classify nor Regress")


def logs(path):
    return [PredictionLog.FromString(record) for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator()]


def test_warmup_requests_to_every_signature_are_answered(exported):
    models, _ = exported
    answered = {}
    records = logs(models / NAME / "1/assets.extra/tf_serving_warmup_requests")
    assert len(records) <= 1000
    with LoadedModel(models / NAME / "1") as served:
        for log in records:
            spec, inputs = sent(log)
            assert spec.name == NAME
            [first, *_] = served.run(spec.signature_name, inputs).values()
            answered.setdefault(spec.signature_name, set()).add(len(first))
    assert answered.pop("rank") == {1, 64, 512}
    assert sorted(answered) == ["classify", "item_embedding", "predict_examples", "regress", "serving_default",
                                "user_embedding"]
    assert all(sizes == {1, 8, 64} for sizes in answered.values())


def test_golden_logs_contain_every_signature(exported):
    """Replayed without the exporter's code."""
    models, _ = exported
    rows = {}
    with LoadedModel(models / NAME / "1") as served:
        for log in logs(models / NAME / "1/assets.extra/golden_requests.tfrecord"):
            spec, inputs = sent(log)
            found = served.run(spec.signature_name, inputs)
            if log.HasField("predict_log"):
                expected = {name: tf.make_ndarray(proto) for name, proto in log.predict_log.response.outputs.items()}
            elif log.HasField("regress_log"):
                expected = {"outputs": np.array([one.value for one in log.regress_log.response.result.regressions])}
            else:
                results = log.classify_log.response.result.classifications
                assert {one.label for each in results for one in each.classes} == {"clicked"}
                expected = {"scores": np.array([[one.score for one in each.classes] for each in results])}
            for name, values in expected.items():
                np.testing.assert_allclose(found[name], values, rtol=0, atol=1e-5)
                rows.setdefault(spec.signature_name, []).append(len(values))
    everything = [32, 24]  # golden impressions; eight of them with unknown, missing and too many values
    assert rows == {"serving_default": everything, "predict_examples": everything, "classify": everything,
                    "regress": everything, "rank": [0, 1, 32] * 3, "user_embedding": [56], "item_embedding": [56]}


def test_the_manifest_names_ranker_dataset_and_configuration(exported, planted_config, tiny_dataset):
    models, version = exported
    stored = json.loads((models / NAME / "1/assets.extra/manifest.json").read_text())
    assert "path" not in stored
    assert len(stored.pop("run_digest")) == 64
    written = version.to_json() | {"kind": "saved_model", "code_version": __version__}
    listed = stored.pop("files")
    assert written == without_digest(stored) | {"path": str(models / NAME / "1")}
    assert sorted(listed) == sorted(
        path.relative_to(models / NAME / "1").as_posix() for path in (models / NAME / "1").rglob("*")
        if path.is_file() and path.name != "manifest.json")
    assert (stored["kind"], stored["name"], stored["version"], stored["arm"]) == ("saved_model", NAME, 1, "scratch")
    assert stored["vocabularies"]["item"] == tiny_dataset.digests["item"]
    assert stored["config"] == planted_config.resolved()
    assert stored["check"]["impressions"] == 32
    assert stored["check"]["largest_difference"] <= stored["check"]["tolerance"] == 1e-5


def test_predictions_of_a_version_are_its_rankers(exported, ranker_folder):
    models, _ = exported
    opened = Predictions.open(models / NAME)
    assert opened.source["version"] == 1
    np.testing.assert_array_equal(
        opened.scores, pq.read_table(ranker_folder / "predictions/test.parquet")["score"].to_numpy())


def test_the_next_version_follows_the_highest(tmp_path):
    assert next_version(tmp_path / "none") == 1
    for name in ("9", "10", "canary", ".11.unfinished-00"):
        (tmp_path / name).mkdir()
    assert next_version(tmp_path) == 11


def test_a_polling_server_never_sees_an_unchecked_version(tmp_path, planted_config, tiny_dataset, ranker_folder,
                                                          monkeypatch):
    seen = []

    def spy(*arguments):
        seen.extend(path.name for path in (tmp_path / NAME).iterdir())
        return check_answers(*arguments)

    monkeypatch.setattr(module, "check_answers", spy)
    export(planted_config, tiny_dataset, ranker_folder, tmp_path)
    assert len(seen) == 1
    assert not seen[0].isdecimal()


def damaged(dataset, folder, change):
    """A copy of the dataset with changed golden impressions."""
    copy = shutil.copytree(dataset.folder, folder / "dataset")
    table = pq.read_table(copy / "golden.parquet")
    pq.write_table(change(table), copy / "golden.parquet")
    reseal(copy)
    return Dataset.open(copy)


def replaced(table, name, values):
    return table.set_column(table.schema.get_field_index(name), name, pa.array(values, table[name].type))


def test_a_different_served_score_stops_the_export(tmp_path, planted_config, tiny_dataset, ranker_folder):
    def another_user(table):
        users = table["user_id"].to_pylist()
        return replaced(table, "user_id", [users[0], users[1], -99, *users[3:]])

    dataset = damaged(tiny_dataset, tmp_path, another_user)
    with pytest.raises(UserError, match=r"golden impression -?\d+ \(row 2\) is served as 0\.\d+, the trained ranker"):
        export(planted_config, dataset, ranker_folder, tmp_path / "models")
    assert list((tmp_path / "models" / NAME).iterdir()) == []


def test_golden_impressions_without_records_stop_the_export(tmp_path, planted_config, tiny_dataset, ranker_folder):
    dataset = damaged(tiny_dataset, tmp_path, lambda table: replaced(table, "key", [5, *table["key"].to_pylist()[1:]]))
    with pytest.raises(UserError, match=r"golden impression 5 is not among the records .* \(1 of 32 are not\)"):
        export(planted_config, dataset, ranker_folder, tmp_path / "models")


def test_golden_impressions_without_a_column_stop_the_export(tmp_path, planted_config, tiny_dataset, ranker_folder):
    dataset = damaged(tiny_dataset, tmp_path, lambda table: table.drop_columns(["quality"]))
    with pytest.raises(UserError, match=r"expected \[.*'quality'.*\], found \[.*\]; build the dataset again"):
        export(planted_config, dataset, ranker_folder, tmp_path / "models")


def test_an_interrupted_export_leaves_no_files(tmp_path, planted_config, tiny_dataset, ranker_folder,
                                              monkeypatch):
    monkeypatch.setattr(module, "write_extra_assets", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        export(planted_config, tiny_dataset, ranker_folder, tmp_path)
    assert list((tmp_path / NAME).iterdir()) == []
    monkeypatch.undo()
    first = export(planted_config, tiny_dataset, ranker_folder, tmp_path)
    assert first.version == 1
    # A process that was killed after the rename repeats the export: it is the same version.
    (tmp_path / NAME / ".version.unfinished-0").mkdir()
    again = export(planted_config, tiny_dataset, ranker_folder, tmp_path)
    assert (again.path, again.version, again.to_json()) == (first.path, 1, json.loads(json.dumps(first.to_json())))
    assert [path.name for path in (tmp_path / NAME).iterdir()] == ["1"]
    changed = planted_config.model_copy(update={"export": ExportConfig(
        arm=planted_config.export.arm, table_dtype="float16", table_tolerance=1)})
    second = export(changed, tiny_dataset, ranker_folder, tmp_path)
    assert second.version == 2
    again = export(changed, tiny_dataset, ranker_folder, tmp_path)
    assert again.to_json() == json.loads(json.dumps(second.to_json()))
    assert again.report.summary() == second.report.summary()
    assert export(planted_config, tiny_dataset, ranker_folder, tmp_path).version == 3  # the latest is another


@pytest.mark.parametrize(("served", "tolerance", "message"), [
    ([0.5, 0.25], 1e-5, None), ([0.5, 0.250009], 1e-5, None), ([0.5, 0.26], 1e-5, r"of impression 8 \(row 1\)"),
    ([float("nan"), 0.25], 1e-5, r"of impression 7 \(row 0\)"), ([0.5, 0.26], 0.02, None),
    ([0.5], 1, r"has shape \[1\], expected \[2\]")])
def test_answers_are_compared_with_the_tolerance(served, tolerance, message):
    request = GoldenRequest("rank", {}, {"score": np.array([0.5, 0.25], np.float32)},
                            ["score of impression 7", "score of impression 8"])
    answer = {"score": np.array(served, np.float32)}
    if message:
        with pytest.raises(UserError, match=f"signature 'rank', output 'score'.*{message}"):
            check_answer(request, answer, tolerance)
    else:
        assert check_answer(request, answer, tolerance) == pytest.approx(abs(served[1] - 0.25), abs=1e-7)


def test_strings_are_compared_exactly():
    request = GoldenRequest("classify", {}, {"classes": np.array([["liked"], ["日本"]], object)}, ["first", "second"])
    assert check_answer(request, {"classes": np.array([[b"liked"], ["日本".encode()]], object)}, 0.5) == 0
    with pytest.raises(UserError, match=r"second \(row 1\) is served as b'x'"):
        check_answer(request, {"classes": np.array([[b"liked"], [b"x"]], object)}, 0.5)


def test_unreadable_golden_impressions_stop_the_export(tmp_path, planted_config, tiny_dataset, ranker_folder):
    copy = shutil.copytree(tiny_dataset.folder, tmp_path / "dataset")
    (copy / "golden.parquet").write_bytes(b"not Parquet")
    with pytest.raises(UserError, match=r"golden.parquet': expected \d+ bytes with CRC-32C"):
        export(planted_config, Dataset.open(copy), ranker_folder, tmp_path / "models")
    reseal(copy)
    with pytest.raises(UserError, match=r"golden.parquet' cannot be read \(.*\): build the dataset"):
        export(planted_config, Dataset.open(copy), ranker_folder, tmp_path / "models")


def test_other_inputs_than_the_signatures_are_refused(exported):
    models, _ = exported
    with pytest.raises(UserError, match=r"takes \['country', 'item_id'.*\], got \['user'\]"):
        run_signature(models / NAME / "1", "serving_default", {"user": np.array([1])})


def test_a_model_that_does_not_load_is_named(tmp_path):
    with pytest.raises(UserError, match="does not run in the session loader that TF Serving uses"):
        run_signature(tmp_path, "serving_default", {})


def test_missing_values_are_left_out_of_examples():
    inputs = {"user_id": RawInput("int64", required=True), "item_id": RawInput("string", required=True),
              "price": RawInput("float32"), "tags": RawInput("string", 3)}
    raw = {"user_id": np.array([-1, 5]), "item_id": np.array(["\x00", "日本\x00"], object),
           "price": np.array([np.nan, -1], np.float32), "tags": np.array([["", ""], ["", "a"]], object)}
    first, second = (tf.train.Example.FromString(one).features.feature for one in serialize_examples(raw, inputs))
    assert sorted(first) == ["item_id", "user_id"]
    assert (list(first["user_id"].int64_list.value), list(first["item_id"].bytes_list.value)) == ([-1], [b"\x00"])
    assert list(second["item_id"].bytes_list.value) == ["日本\x00".encode()]
    assert (list(second["price"].float_list.value), list(second["tags"].bytes_list.value)) == ([-1], [b"a"])


@pytest.mark.parametrize("limit", [0, 5_000, 60_000])
def test_a_write_that_fails_is_one_line_and_leaves_no_version(
        planted_config, tiny_dataset, ranker_folder, tmp_path, limit):
    """Of the assets in the temporary folder, the variables, and the graph."""
    with pytest.raises(OSError, match="File too large") as caught, file_size_limit(limit):
        export(planted_config, tiny_dataset, ranker_folder, tmp_path / "models")
    line = describe_system_error(caught.value)
    named = tempfile.gettempdir() if limit == 0 else str(tmp_path / "models" / NAME)
    assert line.startswith(f"{named!r}: File too large: ")
    assert "\n" not in line
    assert list((tmp_path / "models" / NAME).iterdir()) == []
