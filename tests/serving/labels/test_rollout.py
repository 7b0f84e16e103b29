"""Label moves against a running server that refuses what TensorFlow Serving refuses."""

import numpy as np
import pytest
from google.protobuf import text_format
from tiny_models import save_scaler

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.serving.client import GrpcClient, Model, Predict
from tfrs_pretrain.serving.labels.models_config import model_entry
from tfrs_pretrain.serving.labels.moves import move_label, previous_version
from tfrs_pretrain.serving.labels.rollout import Rollout
from tfrs_pretrain.serving.labels.served_model import ServedModel
from tfrs_pretrain.serving.protocol.messages import ModelServerConfig
from tfrs_pretrain.serving.server.run import DevelopmentServer, open_models

ONE = Predict({"x": np.array([1], np.float32), "shift": np.array([0], np.float32)})


@pytest.fixture(scope="module")
def versions(tmp_path_factory):
    """Versions 1 and 2, which multiply by 1 and 2, and version 3, which does not load."""
    folder = tmp_path_factory.mktemp("versions")
    for version in (1, 2, 3):
        save_scaler(folder / "ranker" / str(version), float(version))
    (folder / "ranker/3/variables/variables.index").write_bytes(b"broken")
    return folder


@pytest.fixture
def config(versions, tmp_path):
    path = tmp_path / "models.config"
    path.write_text(f'# Ours.\nmodel_config_list {{ config {{ name: "ranker" base_path: "{versions}/ranker"\n'
                    "    model_version_policy { specific { versions: 1 } }\n"
                    '    version_labels { key: "stable" value: 1 } } }')
    return path


@pytest.fixture
def address(config):
    with DevelopmentServer(open_models(config)) as server:
        server.manager.watch(0.05)
        yield server.grpc


def promote(config, version, server, label="stable"):
    return Rollout(config, "ranker", label, version, server).run()


def scaled(address, label="stable"):
    with GrpcClient(address, Model("ranker", label=label)) as client:
        return client.predict(ONE)["scaled"].tolist()


def test_a_label_moves_to_a_version_that_was_not_loaded_and_back(config, address):
    server = ServedModel(address, "ranker", 60)
    assert scaled(address) == [1.0]
    assert promote(config, 2, server) == (f"{config}: label stable of ranker names version 2 (was version 1)\n"
                                          f"server {address} answers label stable with version 2")
    assert scaled(address) == [2.0]
    assert "label canary of ranker names version 2 (new)" in promote(config, 2, server, "canary")
    assert scaled(address, "canary") == [2.0]
    promote(config, previous_version(config, "ranker", "stable"), server)
    assert scaled(address) == [1.0]
    assert scaled(address, "stable_previous") == [2.0]


def test_a_version_that_does_not_load_leaves_file_and_server_unchanged(config, address):
    before = config.read_text()
    with pytest.raises(UserError, match=r"has not loaded version 3 of model 'ranker' after 1 s \(.*END.*has its "
                                        "earlier content again"):
        promote(config, 3, ServedModel(address, "ranker", 1))
    assert config.read_text() == before
    assert "(was version 1)" in promote(config, 2, ServedModel(address, "ranker", 60))  # nothing is blocked
    assert scaled(address) == [2.0]


def test_an_edit_that_the_server_refused_is_reported_before_another_one(config, address):
    move_label(config, "ranker", "stable", 2)  # in one step
    before = config.read_text()
    with pytest.raises(UserError, match=r"has not applied the labels .*label 'stable' is answered by version 1 "
                                        "instead of 2") as caught:
        promote(config, 2, ServedModel(address, "ranker", 1), "canary")
    assert "earlier content" not in str(caught.value)
    assert config.read_text() == before


def test_an_absent_server_changes_nothing(config):
    before = config.read_text()
    with pytest.raises(UserError, match=r"UNAVAILABLE|DEADLINE"):
        promote(config, 2, ServedModel("127.0.0.1:1", "ranker", 0))
    assert config.read_text() == before


class _Recorded:
    """Stands for a server and records the file whenever it is waited for."""

    def __init__(self, config, refuses_labels=False):
        self.address, self._config, self._refuses = "server:8500", config, refuses_labels
        self.seen = []

    def wait_until_available(self, version):
        self._record(f"available {version}")

    def wait_until_labels(self, labels):
        self._record("labels")
        if self._refuses and labels["stable"] == 2:
            raise UserError("refused")

    def _record(self, what):
        entry = text_format.Parse(self._config.read_text(), ModelServerConfig()).model_config_list.config[0]
        self.seen.append((what, list(entry.model_version_policy.specific.versions), dict(entry.version_labels)))


def test_the_two_edits(config):
    server = _Recorded(config)
    promote(config, 2, server)
    assert server.seen == [("labels", [1], {"stable": 1}), ("available 2", [1, 2], {"stable": 1}),
                           ("labels", [1, 2], {"stable": 2, "stable_previous": 1})]


def test_a_refused_move_leaves_the_first_edit(config):
    server = _Recorded(config, refuses_labels=True)
    with pytest.raises(UserError, match=r"refused\. .* has its earlier content again"):
        promote(config, 2, server)
    assert dict(model_entry(config, "ranker").version_labels) == {"stable": 1}
    assert list(model_entry(config, "ranker").model_version_policy.specific.versions) == [1, 2]


def test_an_interrupted_wait_restores_the_file(config, monkeypatch):
    before, server = config.read_text(), _Recorded(config)

    def interrupt(version):
        raise KeyboardInterrupt

    monkeypatch.setattr(server, "wait_until_available", interrupt)
    with pytest.raises(KeyboardInterrupt):
        promote(config, 2, server)
    assert config.read_text() == before


def test_an_edit_of_another_command_is_not_undone(config, monkeypatch):
    server = _Recorded(config)

    def fail_after_another_edit(version):
        move_label(config, "ranker", "other", 1)
        raise UserError("not loaded")

    monkeypatch.setattr(server, "wait_until_available", fail_after_another_edit)
    with pytest.raises(UserError, match=r"not loaded\. Another command has edited .*, so this edit was not undone"):
        promote(config, 2, server)
    assert dict(model_entry(config, "ranker").version_labels) == {"stable": 1, "other": 1}


def test_a_version_that_another_command_removed_is_not_labelled(config):
    """The server would refuse the move."""
    server = _Recorded(config)

    def remove_the_version(version):
        move_label(config, "ranker", "other", 1)  # keeps only versions that labels name

    server.wait_until_available = remove_the_version
    with pytest.raises(UserError, match=r"version 2 of model 'ranker' is no longer selected in .*: another command"):
        promote(config, 2, server)
    assert dict(model_entry(config, "ranker").version_labels) == {"stable": 1, "other": 1}
