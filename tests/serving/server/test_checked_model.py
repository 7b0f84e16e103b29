"""Requests to a tiny model: validated before the graph runs."""

import numpy as np
import pytest
import tensorflow as tf
from tiny_models import save_scaler

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.serving.server.checked_model import CheckedModel
from tfrs_pretrain.serving.server.errors import StatusError
from tfrs_pretrain.serving.server.request_limits import RequestLimits

X, SHIFT = np.array([1, 2, 3], np.float32), np.array([10], np.float32)
INPUTS = {"x": X, "shift": SHIFT}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    model = CheckedModel(save_scaler(tmp_path_factory.mktemp("scaler") / "1"), RequestLimits(batch=4))
    yield model
    model.close()


def test_all_outputs_or_the_requested_ones(model):
    everything = model.run("serving_default", INPUTS)
    assert {name: values.tolist() for name, values in everything.items()} == {
        "scaled": [12, 14, 16], "shifted": [11, 12, 13]}
    assert list(model.run("serving_default", INPUTS, ["shifted"])) == ["shifted"]


@pytest.mark.parametrize(("outputs", "message"), [
    (["scaled", "scaled"], "duplicate output tensor alias"),
    (["other"], r"output 'other' is not one of the signature's \['scaled', 'shifted'\]")])
def test_outputs_that_cannot_be_requested(model, outputs, message):
    with pytest.raises(StatusError, match=message):
        model.run("serving_default", INPUTS, outputs)


@pytest.mark.parametrize(("inputs", "message"), [
    ({"x": X}, r"1!=2. Sent extra: \[\]. Missing but required: \['shift'\]"),
    (INPUTS | {"y": X}, r"3!=2. Sent extra: \['y'\]. Missing but required: \[\]"),
    (INPUTS | {"x": X.astype(np.int64)}, "'x' expects float32 but int64 is provided"),
    (INPUTS | {"x": np.array([b"a"], object)}, "'x' expects float32 but string is provided"),
    (INPUTS | {"x": X[None]}, r"'x' has shape \[1, 3\], expected \[None\]"),
    (INPUTS | {"shift": X}, r"'shift' has shape \[3\], expected \[1\]"),
    (INPUTS | {"x": np.float32(1)}, r"'x' has shape \[\], expected \[None\]"),
    (INPUTS | {"x": np.zeros(5, np.float32)}, "'x' has a batch of 5, the maximum is 4")])
def test_inputs_that_differ_from_the_signature(model, inputs, message):
    with pytest.raises(StatusError, match=message) as caught:
        model.run("serving_default", inputs)
    assert caught.value.code == "INVALID_ARGUMENT"


def test_a_batch_at_the_limit_is_answered(model):
    assert len(model.run("serving_default", INPUTS | {"x": np.zeros(4, np.float32)})["scaled"]) == 4


def test_errors_of_the_graph_pass_through(model):
    with pytest.raises(tf.errors.InvalidArgumentError, match="x is too large"):
        model.run("serving_default", INPUTS | {"x": X * 1e6})


def test_signatures_by_name_and_method(model):
    assert set(model.signatures) == {"serving_default", "classify", "regress"}
    assert model.signature("") == "serving_default"
    assert model.signature("classify", method="classify") == "classify"
    with pytest.raises(StatusError, match="'absent' not found in signature def"):
        model.signature("absent")
    with pytest.raises(StatusError, match="'regress' has method 'tensorflow/serving/regress', expected "
                                          "'tensorflow/serving/classify'"):
        model.signature("regress", method="classify")
    with pytest.raises(StatusError, match="'serving_default' has method"):
        model.signature("", method="regress")


def test_a_folder_without_a_model(tmp_path):
    with pytest.raises(UserError, match="does not run in the session loader"):
        CheckedModel(tmp_path, RequestLimits())
