"""A network of the user's own is trained, distilled, saved, started from and opened as the built-in ones are."""

import sys

import keras
import numpy as np
import own_networks
import pyarrow.parquet as pq
import pytest

import tfrs_pretrain as tp
from tfrs_pretrain.artifacts import read_manifest
from tfrs_pretrain.config import Config
from tfrs_pretrain.data.impressions import evaluation_batches
from tfrs_pretrain.embeddings.artifact import Embeddings
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.ranking import training_task
from tfrs_pretrain.ranking.build import build_learner
from tfrs_pretrain.ranking.model.artifact import load_ranker
from tfrs_pretrain.ranking.model.own_network import OwnNetwork
from tfrs_pretrain.ranking.run import train_arm

STUDENT = {"path": "own_networks:Own", "settings": {"units": 7}}


def configured(dataset, **ranking):
    tree = dataset.info["config"]
    arms = {"distilled": {"transfer": "warm_start", "distillation": {
        "teacher": {"network": "own_networks:TwoTowers"}}}}
    return Config.model_validate(tree | {
        "export": {"arm": "distilled"},
        "ranking": tree["ranking"] | {"batch_size": 400, "epochs": 2, "network": STUDENT, "arms": arms} | ranking})


@pytest.fixture(scope="module")
def trained(planted, planted_embeddings, tmp_path_factory):
    folder = tmp_path_factory.mktemp("own") / "ranker"
    return folder, train_arm(configured(planted.dataset), planted.dataset, "distilled", folder, test=False,
                             embeddings=planted_embeddings)


def test_it_learns_from_the_labels_and_its_own_penalty_is_part_of_the_loss(trained):
    _, result = trained
    assert result.metrics["validation"]["auc"] > 0.58
    parts = result.epochs[-1]["train"]
    assert parts["network"] > 0
    labels_and_teacher = 0.7 * parts["hard"] + 0.3 * parts["soft"]
    assert parts["loss"] == pytest.approx(labels_and_teacher + parts["network"], rel=1e-5)


def test_the_artifact_records_path_and_settings_and_opens_without_the_caller(trained, planted, monkeypatch):
    folder, _ = trained
    recorded = read_manifest(folder, "ranker")["config"]["ranking"]["network"]
    assert recorded == {"kind": "path", **STUDENT}
    monkeypatch.delitem(sys.modules, "own_networks")
    ranker = load_ranker(folder, planted.dataset)
    assert ranker.network.inner.units == 7
    [batch] = evaluation_batches(planted.dataset, "impressions/validation", batch_size=1500).take(1)
    expected = pq.read_table(folder / "predictions/validation.parquet")["score"].to_numpy()
    np.testing.assert_array_equal(ranker.score(batch).numpy()[:, 0], expected)


def test_an_artifact_whose_code_is_missing_is_refused_by_one_line(trained, planted, monkeypatch):
    monkeypatch.setitem(sys.modules, "own_networks", None)
    with pytest.raises(UserError, match=r"'own_networks:Own' cannot be imported .*install the package"):
        load_ranker(trained[0], planted.dataset)


ARMS = {"distilled": {"transfer": "warm_start"},
        "meda": {"transfer": "scratch", "meda": {"kind": "non_continual"}},
        "groups": {"transfer": "scratch", "meda": {"kind": "continual", "chunks": 2}}}


@pytest.mark.parametrize(("arm", "settings"), [
    ("distilled", {"jit_compile": True}), ("distilled", {"mixed_precision": "mixed_bfloat16"}),
    ("meda", {}), ("groups", {})])
def test_it_learns_with_every_way_to_train(planted, planted_embeddings, tmp_path, arm, settings):
    config = configured(planted.dataset, arms=ARMS, **settings)
    result = train_arm(config, planted.dataset, arm, tmp_path / "ranker", test=False, embeddings=planted_embeddings)
    first, last = (epoch["train"]["loss"] for epoch in (result.epochs[0], result.epochs[-1]))
    assert last < first
    ranker = load_ranker(tmp_path / "ranker", planted.dataset)
    assert ranker.network.compute_dtype == (settings.get("mixed_precision", "float32").removeprefix("mixed_"))
    [batch] = evaluation_batches(planted.dataset, "impressions/validation", batch_size=1500).take(1)
    expected = pq.read_table(tmp_path / "ranker/predictions/validation.parquet")["score"].to_numpy()
    np.testing.assert_array_equal(ranker.score(batch).numpy()[:, 0], expected)


def test_a_run_that_failed_in_its_second_epoch_ends_with_the_same_bits(trained, planted, planted_embeddings, tmp_path,
                                                                       monkeypatch):
    """Dropout, batch normalization, an online teacher: the whole state is in the checkpoint."""
    config = configured(planted.dataset)
    config = config.model_copy(update={"training": config.training.model_copy(update={"checkpoint_every_steps": 7})})
    calls, predict = [], training_task.predict

    def fails_later(*arguments):
        calls.append(arguments)
        return predict(*arguments) if len(calls) == 1 else 1 / 0

    monkeypatch.setattr(training_task, "predict", fails_later)
    with pytest.raises(ZeroDivisionError):
        train_arm(config, planted.dataset, "distilled", tmp_path / "ranker", test=False, embeddings=planted_embeddings)
    monkeypatch.undo()
    again = train_arm(config, planted.dataset, "distilled", tmp_path / "ranker", test=False,
                      embeddings=planted_embeddings)
    assert again.metrics == trained[1].metrics
    one, other = (load_ranker(folder, planted.dataset) for folder in (trained[0], tmp_path / "ranker"))
    for name, table in one.tables.items():
        np.testing.assert_array_equal(table.numpy(), other.tables[name].numpy())
    for weight, same in zip(one.network.get_weights(), other.network.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, same)


def test_checkpoints_contain_the_whole_state_of_the_network(planted, planted_embeddings):
    """Including the moving averages of batch normalization and the generators of dropout."""
    config = configured(planted.dataset)
    learner = build_learner(config.ranking, planted.dataset, config.ranking.arms["distilled"],
                            Embeddings.open(planted_embeddings), hidden=(3,), seed=1, privileged=False)
    saved = {id(variable) for variable in learner.variables}
    names = [variable.path for variable in learner.ranker.network.variables if id(variable.value) in saved]
    assert len(names) == len(learner.ranker.network.variables) == 9
    assert sum("seed_generator" in name or "moving" in name for name in names) == 3


def test_an_instance_is_recorded_by_its_configuration(planted, tmp_path, capsys):
    network = own_networks.Own(units=4)
    result = tp.train_ranker(planted.dataset, tmp_path / "ranker", arm="scratch", network=network, test=False)
    content = result.config["ranking"]["network"]["content"]
    assert (content["module"], content["class_name"], content["config"]["units"]) == ("own_networks", "Own", 4)
    ranker = load_ranker(tmp_path / "ranker", planted.dataset)
    assert isinstance(ranker.network.inner, own_networks.Own)
    assert ranker.network.inner is not network
    assert not network.built
    assert "weights are not used" not in capsys.readouterr().out
    again = tp.train_ranker(planted.dataset, tmp_path / "next", arm="scratch", network=network, test=False,
                            start_from=tmp_path / "ranker")
    assert again.epochs[0]["train"]["loss"] < result.epochs[0]["train"]["loss"]


def test_weights_of_an_instance_are_not_silently_dropped(planted, capsys):
    from tfrs_pretrain.ranking.model.serialization import with_network

    config = with_network(Config.model_validate(planted.dataset.info["config"]), own_networks.functional())
    assert "network=Functional: its weights are not used" in " ".join(capsys.readouterr().out.split())
    assert config.ranking.has_own_network


class Hidden(keras.Model):
    """Without get_config for its argument."""

    def __init__(self, function):
        super().__init__()
        self.function = function


def test_an_instance_that_cannot_be_rebuilt_is_refused(planted, monkeypatch):
    class Local(keras.Model):
        pass

    main = type("Main", (keras.Model,), {"__module__": "__main__"})
    monkeypatch.setattr(sys.modules["__main__"], "Main", main, raising=False)
    for network, message in ((Hidden(abs), "network=Hidden cannot be rebuilt"),
                             (Local(), "network=Local cannot be rebuilt .*has no attribute 'Local'"),
                             (main(), "network=Main .*__main__, which no other process can import"),
                             (object(), "network=object is not a Keras 3 model or layer")):
        with pytest.raises(UserError, match=message) as caught:
            tp.train_ranker(planted.dataset, "unused", arm="scratch", network=network)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("ranking", "message"), [
    ({"network": "own_networks:OneLogit"}, r"returns logits of shape \[3\]"),
    ({"mixed_precision": "mixed_bfloat16", "network": "own_networks:functional"},
     "computes in float32, ranking.mixed_precision is mixed_bfloat16"),
])
def test_a_wrong_network_is_refused_before_training(planted, planted_embeddings, tmp_path, ranking, message):
    with pytest.raises(UserError, match=message):
        train_arm(configured(planted.dataset, **ranking), planted.dataset, "distilled", tmp_path / "ranker",
                  embeddings=planted_embeddings)
    assert not list(tmp_path.iterdir())


def test_half_precision_reaches_the_layers(planted):
    from tfrs_pretrain.ranking.model.configured_network import make_network

    config = configured(planted.dataset, mixed_precision="mixed_float16")
    network = make_network(config.ranking, hidden=(3,), seed=1, attention=())
    assert isinstance(network, OwnNetwork)
    assert (network.compute_dtype, network.inner.first.compute_dtype) == ("float16", "float16")
