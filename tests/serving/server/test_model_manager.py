"""Several models: labels, reloads, polling."""

import shutil
import threading
import time

import numpy as np
import pytest
from tiny_models import save_scaler

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.serving.protocol.messages import ModelServerConfig, ModelSpec
from tfrs_pretrain.serving.server.errors import StatusError
from tfrs_pretrain.serving.server.model_manager import ModelManager

INPUTS = {"x": np.array([1], np.float32), "shift": np.array([0], np.float32)}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Models "a" and "b", each with versions 1 and 2."""
    folder = tmp_path_factory.mktemp("models")
    for name, factor in (("a", 1.0), ("b", 10.0)):
        for version in (1, 2):
            save_scaler(folder / name / str(version), factor * version)
    return folder


def config(labels=None, names=("a",), path="x"):
    message = ModelServerConfig()
    for name in names:
        model = message.model_config_list.config.add(name=name, base_path=path)
        model.model_version_policy.all.SetInParent()
        model.version_labels.update(labels or {})
    return message


@pytest.fixture
def make(models):
    made = []

    def make(message, **options):
        made.append(ModelManager(message, lambda model: models / model.name, **options))
        return made[-1]

    yield make
    for manager in made:
        manager.close()


def spec(name="a", version=None, label=""):
    message = ModelSpec(name=name, version_label=label)
    if version is not None:
        message.version.value = version
    return message


def answer(manager, *arguments, **options):
    with manager.used(spec(*arguments, **options)) as (number, model):
        return number, model.run("serving_default", INPUTS)["scaled"].tolist()


def test_models_versions_and_labels(make):
    manager = make(config({"stable": 1, "canary": 2}, names=("a", "b")))
    assert answer(manager) == (2, [2.0])
    assert answer(manager, "b") == (2, [20.0])
    assert answer(manager, "b", version=1) == (1, [10.0])
    assert answer(manager, label="stable") == (1, [1.0])
    assert answer(manager, label="canary") == (2, [2.0])


@pytest.mark.parametrize(("requested", "code", "message"), [
    (ModelSpec(), "INVALID_ARGUMENT", "missing ModelSpec.name"), (spec("c"), "NOT_FOUND", "model 'c'"),
    (spec(version=7), "NOT_FOUND", "version 7"), (spec(version=0), "NOT_FOUND", "version 0"),
    (spec(label="x"), "INVALID_ARGUMENT", "unrecognized servable version label: 'x'")])
def test_unknown_models_versions_and_labels(make, requested, code, message):
    manager = make(config({"stable": 1}))
    with pytest.raises(StatusError, match=message) as caught, manager.used(requested):
        pass
    assert caught.value.code == code


def test_states_of_all_versions_or_of_one(make):
    manager = make(config({"stable": 1}))
    assert [state.number for state in manager.states(spec())] == [2, 1]
    assert [state.number for state in manager.states(spec(version=1))] == [1]
    assert [state.number for state in manager.states(spec(label="stable"))] == [1]
    with pytest.raises(StatusError, match="could not find version 9 of model 'a'"):
        manager.states(spec(version=9))


def test_a_label_of_a_missing_version_is_refused_in_a_reload_but_not_at_the_start(make):
    manager = make(config({"stable": 9}))
    with pytest.raises(StatusError, match="version 9"):
        answer(manager, label="stable")
    with pytest.raises(StatusError, match="label 'stable' of model 'a' names version 8, which is not avail") as caught:
        manager.reload(config({"stable": 8, "canary": 1}))
    assert caught.value.code == "FAILED_PRECONDITION"
    with pytest.raises(StatusError, match="unrecognized"):  # labels stay as they were
        answer(manager, label="canary")
    manager.reload(config({"stable": 9, "canary": 1}))  # "stable" does not move
    assert answer(manager, label="canary") == (1, [1.0])
    manager.reload(config({"stable": 2}))
    assert answer(manager, label="stable") == (2, [2.0])


def test_a_reload_keeps_loaded_versions_unless_the_path_changes(make):
    manager = make(config())
    with manager.used(spec(version=1)) as (_, model):
        before = model
    manager.reload(config({"stable": 1}))
    with manager.used(spec(version=1)) as (_, model):
        assert model is before
    manager.reload(config({"stable": 1}, path="y"))
    with manager.used(spec(version=1)) as (_, model):
        assert model is not before


def test_a_removed_model_is_not_served_any_more(make):
    manager = make(config(names=("a", "b")))
    manager.reload(config(names=("b",)))
    with pytest.raises(StatusError, match="model 'a'"):
        answer(manager)
    assert answer(manager, "b") == (2, [20.0])


def test_an_existing_label_moves_only_to_a_loaded_version_and_nothing_is_loaded_for_it(make):
    """TensorFlow Serving checks labels before it loads; a new label may come with its version."""
    def selecting(*versions, **labels):
        message = config(labels)
        message.model_config_list.config[0].model_version_policy.specific.versions[:] = versions
        return message

    manager = make(selecting(1, stable=1))
    with pytest.raises(StatusError, match="label 'stable' of model 'a' names version 2") as caught:
        manager.reload(selecting(1, 2, stable=2))
    assert caught.value.code == "FAILED_PRECONDITION"
    assert [state.number for state in manager.states(spec())] == [1]
    with pytest.raises(StatusError, match="label 'stable'"):  # a later edit with such a label is refused as a whole
        manager.reload(selecting(1, 2, stable=2, new=1))
    manager.reload(selecting(1, 2, stable=1))
    assert answer(manager, label="stable") == (1, [1.0])
    manager.reload(selecting(2, stable=2))
    assert answer(manager, label="stable") == (2, [2.0])
    manager.reload(selecting(1, 2, stable=2, canary=1))
    assert answer(manager, label="canary") == (1, [1.0])


def test_a_changed_configuration_waits_for_its_versions(make, models, caplog):
    changes = [config({"stable": 3}), None]
    manager = make(config({"stable": 1}), read_change=lambda: changes.pop(0) if changes else None)
    manager.poll()
    assert "is not applied: FAILED_PRECONDITION: label 'stable'" in caplog.text
    assert answer(manager, label="stable") == (1, [1.0])
    save_scaler(models / "3", 3.0).rename(models / "a" / "3")
    try:
        manager.poll()  # loads the version
        manager.poll()  # the pending configuration is tried again
        assert answer(manager, label="stable") == (3, [3.0])
    finally:
        shutil.rmtree(models / "a" / "3")


def test_an_unreadable_configuration_changes_nothing(make, caplog):
    def broken():
        raise UserError("cannot be parsed")

    manager = make(config({"stable": 1}), read_change=broken)
    manager.poll()
    assert "is not applied: cannot be parsed" in caplog.text
    assert answer(manager, label="stable") == (1, [1.0])


def test_polling_goes_on_after_an_exception_and_ends_with_close(make, caplog):
    polls = threading.Semaphore(0)

    def failing():
        polls.release()
        raise RuntimeError("unexpected")

    manager = make(config(), read_change=failing)
    manager.watch(0.01)
    for _ in range(3):
        assert polls.acquire(timeout=30)
    assert answer(manager) == (2, [2.0])
    manager.close()
    while polls.acquire(blocking=False):
        pass
    time.sleep(0.1)
    assert not polls.acquire(blocking=False)
    assert "polling the models failed" in caplog.text
