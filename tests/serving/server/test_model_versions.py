"""Versions of one model: policies, loading and unloading, requests in flight, failures."""

import shutil
import threading

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog
from tiny_models import save_scaler

from tfrs_pretrain.serving.protocol.messages import ModelConfig
from tfrs_pretrain.serving.server.errors import StatusError
from tfrs_pretrain.serving.server.model_versions import ModelVersions, State
from tfrs_pretrain.serving.server.request_limits import DEFAULT_LIMITS

INPUTS = {"x": np.array([1], np.float32), "shift": np.array([0], np.float32)}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """SavedModels 1, 2 and 3, whose answers are 1, 2 and 3 times the input."""
    folder = tmp_path_factory.mktemp("scalers")
    for version in (1, 2, 3):
        save_scaler(folder / str(version), float(version))
    return folder


def policy(kind="latest", *numbers):
    config = ModelConfig(name="m")
    if kind == "specific":
        config.model_version_policy.specific.versions[:] = numbers
    elif kind == "all":
        config.model_version_policy.all.SetInParent()
    elif numbers:
        config.model_version_policy.latest.num_versions = numbers[0]
    return config


@pytest.fixture
def folder(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "m")


@pytest.fixture
def make(folder):
    made = []

    def make(config):
        made.append(ModelVersions(config, folder, DEFAULT_LIMITS))
        return made[-1]

    yield make
    for versions in made:
        versions.close()


def answer(versions, number=None):
    chosen, using = versions.use(number)
    with using as model:
        return chosen, model.run("serving_default", INPUTS)["scaled"].tolist()


@pytest.mark.parametrize(("config", "expected"), [
    (policy(), [3]), (policy("latest", 2), [2, 3]), (policy("latest", 9), [1, 2, 3]), (policy("all"), [1, 2, 3]),
    (policy("specific", 1, 3), [1, 3]), (policy("specific", 7), [])])
def test_each_policy_selects_its_versions(make, config, expected):
    versions = make(config)
    versions.update()
    assert versions.available == expected


def test_only_complete_version_folders_count(make, folder):
    (folder / "4").mkdir()  # without a graph
    (folder / "name").mkdir()
    shutil.copytree(folder / "1", folder / ".5.unfinished")
    versions = make(policy("all"))
    versions.update()
    assert versions.available == [1, 2, 3]


def test_requests_without_a_number_get_the_newest(make):
    versions = make(policy("specific", 1, 2))
    with pytest.raises(StatusError, match="any version of model 'm'"):
        versions.use(None)
    versions.update()
    assert answer(versions) == (2, [2.0])
    assert answer(versions, 1) == (1, [1.0])
    with pytest.raises(StatusError, match="version 3 of model 'm'") as caught:
        versions.use(3)
    assert caught.value.code == "NOT_FOUND"


def test_a_new_version_replaces_the_old_one(make, folder, tmp_path):
    (folder / "3").rename(tmp_path / "3")
    versions = make(policy())
    versions.update()
    (tmp_path / "3").rename(folder / "3")
    versions.load(versions.config)
    assert versions.available == [2, 3]  # nothing is unloaded yet
    versions.settle(versions.config)
    assert versions.available == [3]
    assert versions.states() == [(3, State.Value("AVAILABLE"), None), (2, State.Value("END"), None)]


def test_the_old_version_stays_if_no_selected_one_loads(make):
    versions = make(policy("specific", 2))
    versions.update()
    versions.settle(policy("specific", 7))
    assert versions.available == [2]
    versions.settle(policy("specific", 2, 7))
    assert versions.available == [2]


def test_a_version_in_use_is_unloaded_after_its_requests(make):
    versions = make(policy("all"))
    versions.update()
    _, using = versions.use(1)
    closing = threading.Thread(target=versions.settle, args=[policy("specific", 3)])
    closing.start()
    closing.join(0.3)
    assert closing.is_alive()
    with pytest.raises(StatusError):  # new requests do not get it
        versions.use(1)
    with using as model:
        assert model.run("serving_default", INPUTS)["scaled"].tolist() == [1.0]
    closing.join(30)
    assert not closing.is_alive()


def test_a_version_that_failed_is_tried_again_only_after_its_graph_changed(make, folder, monkeypatch):
    (folder / "3" / "variables" / "variables.index").write_bytes(b"broken")
    versions = make(policy())
    versions.update()
    [state] = versions.states()
    assert (state.number, state.state) == (3, State.Value("END"))
    assert "does not run in the session loader" in state.error.message
    from tfrs_pretrain.serving.server import model_versions as module

    monkeypatch.setattr(module, "CheckedModel", lambda *_: pytest.fail("tried again"))
    versions.update()
    monkeypatch.undo()
    shutil.rmtree(folder / "3")
    shutil.copytree(folder / "2", folder / "3")
    (folder / "3" / "saved_model.pb").touch()
    versions.update()
    assert versions.states() == [(3, State.Value("AVAILABLE"), None)]


@pytest.mark.parametrize(("signature", "loads"), [("", True), ("absent", False)])
def test_a_failing_warm_up_request_stops_the_load(make, folder, signature, loads):
    log = PredictionLog()
    log.predict_log.request.model_spec.signature_name = signature
    for name, values in INPUTS.items():
        log.predict_log.request.inputs[name].CopyFrom(tf.make_tensor_proto(values))
    (folder / "3" / "assets.extra").mkdir()
    with tf.io.TFRecordWriter(str(folder / "3" / "assets.extra" / "tf_serving_warmup_requests")) as writer:
        writer.write(log.SerializeToString())
    versions = make(policy())
    versions.update()
    assert versions.available == ([3] if loads else [])
    assert bool(versions.states()[0].error) is not loads
