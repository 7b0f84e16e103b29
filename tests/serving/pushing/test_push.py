"""Pushes to a running server: the development server, or TensorFlow Serving if TENSORFLOW_MODEL_SERVER names it."""

import json
import shutil

import pytest
from live_servers import NAME, live_server
from typer.testing import CliRunner

from tfrs_pretrain.artifact_names import EXTRA_ASSETS
from tfrs_pretrain.cli import app
from tfrs_pretrain.config import Config
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.serving.client import GrpcClient, Model, Predict
from tfrs_pretrain.serving.deltas.chain import read_chain
from tfrs_pretrain.serving.exporting.export import export
from tfrs_pretrain.serving.exporting.logged_requests import read_logged_requests
from tfrs_pretrain.serving.live.push_secret import read_key
from tfrs_pretrain.serving.pushing.chunks import delta_chunks
from tfrs_pretrain.serving.pushing.push import push
from tfrs_pretrain.serving.pushing.sender import Sender
from tfrs_pretrain.serving.session import LoadedModel
from tfrs_pretrain.serving.version_folder import GOLDEN_LOGS, read_version

pytestmark = pytest.mark.slow
GRACE = 0.2


def version(server, number=1):
    with GrpcClient(server.grpc, Model(NAME, version=number), timeout=60) as client:
        return client.predict(Predict({}, "delta_version"))["version"].item().decode()


def verify_server(server, base):
    return CliRunner().invoke(app, ["verify-server", server.grpc, "--model", str(base), "--requests", "0",
                                    "--timeout", "60"])


def send_first_chunk(server, base, key):
    """As a push that is killed."""
    chain = read_chain(base)
    later, live = chain.deltas[0].apply(chain.base_state()), chain.manifest["live"]
    with GrpcClient(server.grpc, Model(NAME), timeout=60) as client:
        chunks = list(delta_chunks(chain.deltas[0], later, live["token"], live))
        Sender(client, key, GRACE).send(chunks[:1])
    assert version(server) == chunks[0].successor == f"{chain.deltas[0].digest}#0"


def test_a_push_sends_what_the_server_lacks(pushed, tmp_path):
    models, secret = pushed
    base, key = models / NAME / "1", read_key(secret)
    first_only = tmp_path / "models" / NAME / "1"
    shutil.copytree(base, first_only)
    shutil.copytree(models / NAME / "1.deltas/000001", first_only.with_name("1.deltas") / "000001")
    digests = [json.loads((models / NAME / f"1.deltas/{name}/manifest.json").read_text())["predecessor"]
               for name in ("000001", "000002")]
    with live_server(models, tmp_path, versions=[1]) as server:
        token = version(server)
        assert token not in digests
        first = push(server.grpc, first_only, key, grace=GRACE)
        assert (first.found, first.deltas, first.passed, len(first.checks) > 10) == (token, (1,), True, True)
        assert version(server) == digests[1]
        second = push(server.grpc, base, key, grace=GRACE)  # the same item changes again
        assert (second.deltas, second.passed, second.erased > 0) == ((2,), True, True)
        again = push(server.grpc, base, key, grace=GRACE)
        assert (again.deltas, again.chunks, again.erased, again.found) == ((), 0, 0, version(server))
        done = verify_server(server, base)
        assert done.exit_code == 0, done.output
        with pytest.raises(UserError, match="of another chain"):
            push(server.grpc, first_only, key)
    (tmp_path / "again").mkdir()
    with live_server(models, tmp_path / "again", versions=[1]) as server:  # restarted: everything from the base
        (tmp_path / "other").write_text("f" * 64)
        arguments = ["push", server.grpc, "--version", str(base), "--grace", str(GRACE), "--secret"]
        refused = CliRunner().invoke(app, [*arguments, str(tmp_path / "other")])
        assert isinstance(refused.exception, UserError)
        assert "the secret is not that of version" in str(refused.exception)
        assert version(server) == token
        send_first_chunk(server, base, key)
        verified = verify_server(server, base)
        assert verified.exit_code == 0, verified.output  # nothing of the chunk is visible
        done = CliRunner().invoke(app, [*arguments, str(secret)])
        assert (done.exit_code, "deltas [1, 2] in" in done.output, "old rows" in done.output) == (0, True, True)


def test_a_compacted_live_version_equals_the_full_export_and_can_be_pushed_to(pushed, tmp_path):
    models, secret = pushed
    compacted, full = models / NAME / "2", models.parent / "full" / NAME / "1"
    found, expected = (read_version(folder) for folder in (compacted, full))
    for key in ("signatures", "tables", "operations", "vocabularies", "config"):
        assert found[key] == expected[key]
    assert {name: found["live"][name] for name in ("spare", "spare_bytes", "cold_sizes")} == {
        name: expected["live"][name] for name in ("spare", "spare_bytes", "cold_sizes")}
    assert found["live"]["token"] != read_version(models / NAME / "1")["live"]["token"]
    requests = read_logged_requests(full / EXTRA_ASSETS / GOLDEN_LOGS)
    assert len({request.signature for request in requests}) == 7
    with LoadedModel(compacted) as model, LoadedModel(full) as other:
        for request in requests:
            answers = [each.run(request.signature, request.inputs) for each in (model, other)]
            for name, values in answers[0].items():
                assert values.tobytes() == answers[1][name].tobytes() or values.dtype == object
        states = [{name: int(count) for name, count in each.run("delta_version", {}).items() if name != "version"}
                  for each in (model, other)]
        assert states[0] == states[1]
    with live_server(models, tmp_path, versions=[2]) as server:
        done = push(server.grpc, compacted, read_key(secret), grace=GRACE)
        assert (done.found, done.deltas, done.passed) == (found["live"]["token"], (1,), True)
        assert version(server, 2) == read_chain(compacted).digest


def test_what_cannot_be_pushed_is_named(exported, pushed, planted_config, tiny_dataset, ranker_folder, tmp_path):
    secret = pushed[1]
    with pytest.raises(UserError, match=r"takes no live updates: export it with export\.live_updates=true"):
        push("127.0.0.1:1", exported[0] / NAME / "1", read_key(secret))
    (tmp_path / "short").write_text("short")
    with pytest.raises(UserError, match="has 5 bytes, expected at least 32"):
        read_key(tmp_path / "short")
    with pytest.raises(UserError, match=r"cannot be read .*openssl rand"):
        read_key(tmp_path / "absent")
    tree = planted_config.resolved()
    tree["export"]["live_updates"] = True
    with pytest.raises(UserError, match=r"export\.live_updates needs export\.push_secret"):
        export(Config.model_validate(tree), tiny_dataset, ranker_folder, tmp_path / "models")
