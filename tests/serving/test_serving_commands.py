"""The commands around a server as a user meets them: serve, query, verify-server, promote --label, roll-back."""

import json
import os
import re
import signal
import subprocess
import sys

import numpy as np
import pytest
from live_servers import NAME, copied, models_config
from typer.testing import CliRunner

from tfrs_pretrain.cli import app
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.serving.labels.models_config import model_entry


def call(*arguments, text=None):
    """(exit code, output) of a command; what it refuses is raised."""
    result = CliRunner().invoke(app, list(map(str, arguments)), input=text)
    if isinstance(result.exception, UserError):
        raise result.exception
    return result.exit_code, result.output


@pytest.fixture(scope="module")
def served(two_versions, tmp_path_factory):
    """(gRPC address, REST address, models.config) of `tfrs-pretrain serve`, stopped with Ctrl-C at the end."""
    models = copied(two_versions, tmp_path_factory.mktemp("served"), 1, 2)
    config = models / "models.config"
    config.write_text(models_config(models, versions=[1], labels={"stable": 1}))
    code = "from tfrs_pretrain.cli import main; main()"
    process = subprocess.Popen([sys.executable, "-c", code, "serve", "--models-config", config, "--port", "0",
                                "--rest-port", "0", "--poll-seconds", "0.1"], text=True, stdout=subprocess.PIPE,
                               env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)})
    line = process.stdout.readline()
    assert "development server (production: the tensorflow/serving image)" in line
    yield *re.findall(r"127\.0\.0\.1:\d+", line), config
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0


@pytest.fixture(params=["gRPC", "REST"])
def ask(served, request):
    """Sends a verb with a JSON body over one transport; returns the JSON answer."""
    address = served[request.param == "REST"]

    def ask(verb, body=None, *options):
        rest = ["--rest"] if request.param == "REST" else []
        code, output = call("query", address, NAME, verb, "--json", *rest, *options, text=json.dumps(body))
        assert code == 0
        return json.loads(output)

    return ask


def golden(config):
    content = json.loads((config.parent / NAME / "1/assets.extra/golden_requests.json").read_text())
    return content["instances"], content["outputs"]["score"]


def test_every_kind_of_request_from_the_command_line(served, ask):
    rows, scores = golden(served[2])
    near = {"rtol": 0, "atol": 1e-5}
    np.testing.assert_allclose(ask("predict", rows)["score"], scores, **near)
    np.testing.assert_allclose(ask("predict", {"instances": rows}, "--label", "stable")["score"], scores, **near)
    np.testing.assert_allclose(ask("predict_examples", rows)["score"], scores, **near)
    np.testing.assert_allclose(ask("regress", rows)["output"], scores, **near)
    np.testing.assert_allclose([row["clicked"] for row in ask("classify", rows)], scores, **near)
    sides = {"user": ("user_id", "country"), "context": ("surface",)}
    one = {side: {name: rows[0][name] for name in names} for side, names in sides.items()}
    candidate = {name: value for name, value in rows[0].items() if name not in sum(sides.values(), ())}
    candidate["quality"] = 2  # an integer for a float feature
    ranked = ask("rank", {**one, "candidates": [candidate] * 3})
    assert ranked["candidate"] == [0, 1, 2]
    assert len(set(ranked["score"])) == 1
    np.testing.assert_allclose(ranked["score"][0], ask("predict", [rows[0] | {"quality": 2.0}])["score"][0], **near)
    assert ask("rank", {**one, "candidates": []})["score"] == []
    vectors = ask("item_embedding", [rows[0]["item_id"], rows[1]["item_id"]])["embedding"]
    assert np.shape(vectors) == (2, 8)
    assert np.shape(ask("user_embedding", [rows[0]["user_id"]])["embedding"]) == (1, 8)
    assert ask("status") == [{"version": 1, "state": "AVAILABLE", "error": ""}]
    assert ask("metadata")["signatures"]["rank"]["inputs"]["user_id"] == "int64[1]"


def test_tables_on_the_console(served, tmp_path):
    rows, scores = golden(served[2])
    (tmp_path / "rows.json").write_text(json.dumps(rows[:2]))
    _, output = call("query", served[0], NAME, "predict", "--request", tmp_path / "rows.json")
    assert [f"{score:.6f}"[:7] in output for score in scores[:2]] == [True, True]
    one = {"user": {name: rows[0][name] for name in ("user_id", "country")},
           "context": {"surface": rows[0]["surface"]},
           "candidates": [{name: row[name] for name in ("item_id", "topic", "quality")} for row in rows]}
    _, output = call("query", served[0], NAME, "rank", text=json.dumps(one))
    found = [float(line.split("│")[-2]) for line in output.splitlines() if line.startswith("│")]
    assert len(found) == len(rows)
    assert found == sorted(found, reverse=True)
    assert "serving_default" in call("query", served[0], NAME, "metadata")[1]
    assert "AVAILABLE" in call("query", served[0], NAME)[1]


@pytest.mark.parametrize(("verb", "text", "message"), [
    ("bogus", "", "unknown request 'bogus': choose from predict, rank"), ("predict", "{", "cannot be read as JSON"),
    ("predict", "5", "the request body does not fit predict"), ("rank", "[]", r"expected \{\"user\""),
    ("rank", '{"candidates": [{"x": 1}, {"y": 1}]}', "the request body does not fit rank"),
    ("regress", "[1]", "the request body does not fit regress"),
    ("predict", '[{"user_id": 1}]', "INVALID_ARGUMENT"), ("predict", '[{"user_id": "x"}]', "'user_id' requires int64"),
    # Must not be converted to user 1 or 12.
    ("user_embedding", "[1.5]", r"input 'user_id' requires int64, got \[1\.5\]"),
    ("user_embedding", '["12"]', "requires int64"), ("user_embedding", "[true]", "requires int64"),
    ("user_embedding", "[9223372036854775808]", "requires int64, got .9223372036854775808"),
    ("user_embedding", "[1e3]", "requires int64"), ("user_embedding", f"[1{'0' * 30}]", "requires int64"),
    ("predict", '[{"quality": "1"}]', "'quality' requires float32"),
    ("predict", '[{"quality": 1e39}]', "'quality' requires float32, got .1e[+]39")])
def test_invalid_requests_are_refused(served, verb, text, message):
    with pytest.raises(UserError, match=message):
        call("query", served[0], NAME, verb, text=text)


def test_canary_promotion_and_roll_back(served, tmp_path):
    grpc, rest, config = served
    candidate, live = config.parent / NAME / "2", config.parent / NAME / "1"
    gate = tmp_path / "gate.yaml"
    gate.write_text("{replicates: 100, thresholds: {auc: {min: 0.4}}}")
    verdict = ["--gate", gate, "--json", tmp_path / "verdict.json", "--models-config", config]
    before = config.read_text()

    # A refused candidate gets no label.
    strict = tmp_path / "strict.yaml"
    strict.write_text("{replicates: 100, thresholds: {auc: {min: 0.9999}}}")
    code, _ = call("promote", candidate, "--gate", strict, "--live", live, *verdict[2:], "--label", "canary")
    assert (code, config.read_text()) == (3, before)
    # Without --label, the configuration stays unchanged.
    assert call("promote", candidate, "--live", live, *verdict)[0] == 0
    assert config.read_text() == before
    # A label that cannot move is an error before the candidate is evaluated.
    with pytest.raises(UserError, match=r"has no manifest\.json|does not exist"):
        call("promote", tmp_path, "--first", *verdict, "--label", "canary")

    def verified(version, models_config):
        return call("verify-server", grpc, "--rest", rest, "--model", config.parent / NAME / str(version),
                    "--models-config", models_config, "--requests", 8, "--json", tmp_path / "found.json")[0]

    assert call("promote", candidate, "--live", live, *verdict, "--label", "canary")[0] == 0
    assert dict(model_entry(config, NAME).version_labels) == {"stable": 1, "canary": 2}
    assert eventually(lambda: verified(2, config) == 0)
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["passed"] is True
    assert found["load"]["REST"]["requests"] == 8

    promoted_output = " ".join(
        call("promote", candidate, "--live", live, *verdict, "--label", "stable", "--server", grpc)[1].split())
    assert "(was version 1)" in promoted_output
    assert f"server {grpc} answers label stable with version 2" in promoted_output
    assert verified(2, config) == 0
    promoted = tmp_path / "promoted.config"
    promoted.write_text(config.read_text())
    roll_back = ["roll-back", NAME, "--models-config", config, "--server", grpc]
    for happened in ("was version 2", "unchanged"):  # the second call changes nothing
        rolled_back = " ".join(call(*roll_back)[1].split())
        assert f"names version 1 ({happened}; `roll-back --undo` returns to version 2)" in rolled_back
        assert verified(1, config) == 0
    assert verified(1, promoted) == 3  # the server's labels are no longer those of this file
    assert "names version 2 (was version 1)" in " ".join(call(*roll_back, "--undo")[1].split())
    assert verified(2, promoted) == 0


def eventually(true, tries=100):
    """The server polls its configuration ten times per second."""
    return any(true() for _ in range(tries))
