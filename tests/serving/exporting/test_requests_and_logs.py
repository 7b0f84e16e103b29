"""Warm-up requests, golden requests and their logs, from literal inputs."""

import collections

import numpy as np
import pytest
import tensorflow as tf

from tfrs_pretrain.features.raw_input import CONTEXT, USER, RawInput
from tfrs_pretrain.serving.exporting.golden_impressions import GoldenImpressions
from tfrs_pretrain.serving.exporting.golden_requests import golden_requests
from tfrs_pretrain.serving.exporting.prediction_logs import prediction_log, serialize_examples
from tfrs_pretrain.serving.exporting.warmup import warmup_logs

INPUTS = {"user_id": RawInput("int64", side=USER, required=True), "item_id": RawInput("string", required=True),
          "surface": RawInput("string", side=CONTEXT), "price": RawInput("float32"), "tags": RawInput("string", 2)}
RAW = {"user_id": np.array([7, 8, 9]), "item_id": np.array(["a", "b", "c"], object),
       "surface": np.array(["home", "", "home"], object), "price": np.array([0.5, np.nan, 2], np.float32),
       "tags": np.array([["x", ""], ["", ""], ["y", "z"]], object)}
SCORES = {"score": np.array([0.1, 0.2, 0.3], np.float32), "score_liked": np.array([0.4, 0.5, 0.6], np.float32)}


class Scorer:
    """Stands for the trained model: the score of a row is its user id."""

    def scores(self, raw):
        values = raw["user_id"].astype(np.float32)
        return {"score": values, "score_liked": -values}

    def embeddings(self, space, ids):
        return np.full((len(ids), 2), 1.0 if space == "user" else 2.0, np.float32)


@pytest.fixture(scope="module")
def requests():
    golden = GoldenImpressions(np.array([11, 22, 33]), RAW, SCORES)
    return golden_requests(golden, Scorer(), INPUTS, ("clicked", "liked"))


def by_signature(requests, name):
    return [request for request in requests if request.signature == name]


def test_every_signature_gets_its_requests(requests):
    counts = collections.Counter(request.signature for request in requests)
    assert counts == {"serving_default": 2, "predict_examples": 2, "classify": 2, "regress": 2, "rank": 9,
                      "user_embedding": 1, "item_embedding": 1}
    for request in requests:
        assert {len(values) for values in request.outputs.values()} == {len(request.rows)}


def test_golden_impressions_have_the_scores_of_the_records(requests):
    golden, _ = by_signature(requests, "serving_default")
    assert golden.inputs is RAW
    assert golden.outputs is SCORES
    assert golden.rows == ["golden impression 11", "golden impression 22", "golden impression 33"]
    classified = by_signature(requests, "classify")[0].outputs
    assert classified["classes"].tolist() == [["clicked", "liked"]] * 3
    np.testing.assert_array_equal(classified["scores"], np.array([[0.1, 0.4], [0.2, 0.5], [0.3, 0.6]], np.float32))
    np.testing.assert_array_equal(by_signature(requests, "regress")[0].outputs["outputs"], SCORES["score"])


def test_odd_variants_are_unknown_missing_and_too_long(requests):
    odd = by_signature(requests, "serving_default")[1]
    assert odd.rows[:4] == ["golden impression 11 with unknown values", "golden impression 22 with unknown values",
                            "golden impression 33 with unknown values", "golden impression 11 with missing values"]
    assert odd.inputs["user_id"].tolist() == [-7777777777] * 3 + [7, 8, 9] * 2  # ids are never missing
    assert odd.inputs["surface"].tolist()[3:] == ["", "", "", "home", "", "home"]
    assert np.isnan(odd.inputs["price"][3:6]).all()
    assert odd.inputs["tags"].shape == (9, 5)  # longer than the 2 values that the model uses
    assert set(odd.inputs["tags"][:3].ravel()) == {"never seen: ∅"}
    assert set(odd.inputs["tags"][3:6].ravel()) == {""}
    assert odd.inputs["tags"][8].tolist() == ["y", "z", "never seen: ∅", "y", "z"]


def test_candidates_are_ranked_in_their_own_context_and_in_the_users(requests):
    ranked = by_signature(requests, "rank")
    assert [len(request.inputs["item_id"]) for request in ranked] == [0, 1, 3] * 3
    first, second = ranked[2], ranked[5]
    assert first.inputs["user_id"].tolist() == [7]
    assert first.inputs["surface"].tolist() == ["home", "", "home"]
    assert second.inputs["user_id"].tolist() == [8]
    assert second.inputs["surface"].tolist() == [""]
    assert second.outputs["score"].tolist() == [8, 8, 8]
    assert second.rows == [f"user of golden impression 22, item of golden impression {key}" for key in (11, 22, 33)]


def test_warm_up_covers_signatures_and_sizes():
    sizes = collections.defaultdict(collections.Counter)
    for log in warmup_logs("m", RAW, INPUTS):
        kind = log.WhichOneof("log_type")
        request = getattr(log, kind).request
        assert request.model_spec.name == "m"
        size = (request.inputs[next(iter(request.inputs))] if kind == "predict_log" else None)
        if request.model_spec.signature_name == "rank":
            shapes = {name: tf.make_ndarray(tensor).shape[0] for name, tensor in request.inputs.items()}
            assert shapes["user_id"] == 1
            assert shapes["surface"] in (1, shapes["item_id"])
            sizes["rank"][shapes["item_id"], shapes["surface"] > 1] += 1
        else:
            count = tf.make_ndarray(size).shape[0] if size else len(request.input.example_list.examples)
            sizes[request.model_spec.signature_name][count] += 1
    assert sizes.pop("rank") == {(1, False): 6, (64, False): 3, (64, True): 3, (512, False): 3, (512, True): 3}
    assert sorted(sizes) == ["classify", "item_embedding", "predict_examples", "regress", "serving_default",
                             "user_embedding"]
    assert all(counts == {1: 3, 8: 3, 64: 3} for counts in sizes.values())


def test_logs_use_the_method_of_the_signature():
    examples = {"inputs": serialize_examples(RAW, INPUTS)}
    plain = prediction_log("m", "predict_examples", examples)
    assert plain.WhichOneof("log_type") == "predict_log"
    assert not plain.predict_log.HasField("response")
    classified = prediction_log("m", "classify", examples, {
        "classes": np.array([["a", "b"]] * 3, object), "scores": np.arange(6, dtype=np.float32).reshape(3, 2)})
    found = classified.classify_log.response.result.classifications
    assert [(item.label, item.score) for item in found[1].classes] == [("a", 2.0), ("b", 3.0)]
    assert len(classified.classify_log.request.input.example_list.examples) == 3
    regressed = prediction_log("m", "regress", examples, {"outputs": np.array([1.0, 2.0, 3.0])})
    assert [each.value for each in regressed.regress_log.response.result.regressions] == [1, 2, 3]
    assert regressed.regress_log.request.model_spec.signature_name == "regress"


def test_tensors_keep_dtype_and_shape():
    request = prediction_log("m", "serving_default", RAW).predict_log.request
    for name, values in RAW.items():
        found = tf.make_ndarray(request.inputs[name])
        expected = np.char.encode(values.astype(str)).astype(object) if values.dtype == object else values
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == values.dtype


def test_the_rest_body_has_rows_and_expected_outputs():
    import json

    content = json.loads(GoldenImpressions(np.array([11, 22, 33]), RAW, SCORES).as_rest())
    assert content["signature_name"] == "serving_default"
    assert content["instances"][2] == {"user_id": 9, "item_id": "c", "surface": "home", "price": 2.0,
                                       "tags": ["y", "z"]}
    assert np.isnan(content["instances"][1]["price"])
    np.testing.assert_allclose(content["outputs"]["score_liked"], [0.4, 0.5, 0.6], rtol=1e-6)
