"""Pushes to a running server: the development server, or TensorFlow Serving if TENSORFLOW_MODEL_SERVER names it."""

import shutil

import numpy as np
import pytest
from evolved import evolve, rare_ids
from live_servers import NAME, live_server
from typer.testing import CliRunner

from tfrs_pretrain.cli import app
from tfrs_pretrain.config import Config
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.serving.client import GrpcClient, Model, Predict, RequestError
from tfrs_pretrain.serving.exporting.delta import export_delta
from tfrs_pretrain.serving.exporting.export import export
from tfrs_pretrain.serving.live.push_secret import read_key
from tfrs_pretrain.serving.pushing.push import push

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pushed(planted_config, tiny_dataset, ranker_folder, tmp_path_factory):
    """Folder of models with a live version and two deltas, the file of its secret, and the last dataset."""
    folder = tmp_path_factory.mktemp("pushed")
    (folder / "secret").write_text("0123456789abcdef" * 4)
    tree = planted_config.resolved()
    tree["export"] |= {"live_updates": True, "push_secret": str(folder / "secret"), "live_grace_seconds": 0.2}
    config, rare = Config.model_validate(tree), rare_ids(tiny_dataset)
    export(config, tiny_dataset, ranker_folder, folder / "models")
    (folder / "second").mkdir()
    (folder / "third").mkdir()
    second = evolve(tiny_dataset, ranker_folder, folder / "second", replace={rare[0]: "heir"}, append=["new"],
                    rows={"user": {5: np.full(8, 0.25)}})
    third = evolve(*second, folder / "third", replace={rare[1]: None}, rows={"user": {5: np.full(8, -1)}}, dense=True)
    for dataset, ranker in (second, third):
        export_delta(config, dataset, ranker, folder / "models", 1)
    return folder / "models", folder / "secret", third[0]


def version(server):
    with GrpcClient(server.grpc, Model(NAME)) as client:
        return client.predict(Predict({}, "delta_version"))["version"].item().decode()



def test_a_push_sends_what_is_missing_and_a_restarted_server_gets_everything_again(pushed, tmp_path):
    models, secret, _ = pushed
    for restart in range(2):
        (tmp_path / str(restart)).mkdir()
        with live_server(models, tmp_path / str(restart), versions=[1]) as server:
            first = push(server.grpc, models / NAME / "1", read_key(secret))
            assert (first.deltas, first.passed, len(first.checks) > 10) == ((1, 2), True, True)
            again = push(server.grpc, models / NAME / "1", read_key(secret))
            assert (again.deltas, again.chunks, again.found) == ((), 0, version(server))


def test_a_push_continues_after_the_deltas_that_the_server_has(pushed, tmp_path):
    models, secret, _ = pushed
    shutil.copytree(models / NAME / "1", tmp_path / "models" / NAME / "1")
    shutil.copytree(models / NAME / "1.deltas/000001", tmp_path / "models" / NAME / "1.deltas/000001")
    with live_server(models, tmp_path, versions=[1]) as server:
        assert push(server.grpc, tmp_path / "models" / NAME / "1", read_key(secret)).deltas == (1,)
        second = push(server.grpc, models / NAME / "1", read_key(secret))
        assert (second.deltas, second.passed) == ((2,), True)
        with pytest.raises(UserError, match="of another chain"):
            push(server.grpc, tmp_path / "models" / NAME / "1", read_key(secret))


def test_another_secret_is_refused(pushed, tmp_path):
    models, secret, _ = pushed
    with live_server(models, tmp_path, versions=[1]) as server:
        before = version(server)
        with pytest.raises(RequestError, match="the secret is not this model's"):
            push(server.grpc, models / NAME / "1", bytes(32))
        assert version(server) == before
        (tmp_path / "short").write_text("short")
        with pytest.raises(UserError, match="has 5 bytes, expected at least 32"):
            read_key(tmp_path / "short")
        done = CliRunner().invoke(app, ["push", server.grpc, "--version", str(models / NAME / "1"), "--secret",
                                        str(secret)])
        assert done.exit_code == 0
        assert "deltas [1, 2] in" in done.output


def test_a_version_without_live_updates_is_refused(exported, pushed):
    with pytest.raises(UserError, match=r"takes no live updates: export it with export\.live_updates=true"):
        push("127.0.0.1:1", exported[0] / NAME / "1", read_key(pushed[1]))
