"""Servers for tests: TensorFlow Serving if TENSORFLOW_MODEL_SERVER names its binary, else the development server."""

import contextlib
import dataclasses
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
from processes import end, two_free_ports

from tfrs_pretrain.serving.client import GrpcClient, Model, Predict, RequestError, RestClient
from tfrs_pretrain.serving.server.run import DevelopmentServer, open_models

NAME = "planted_ranker"
BINARY = os.environ.get("TENSORFLOW_MODEL_SERVER")
# As in saved_models/compose.yaml: a version that does not load is given up after a second instead of five minutes.
LOAD_FLAGS = ("--max_num_load_retries=1", "--load_retry_interval_micros=1000000", "--num_load_threads=1")


@dataclasses.dataclass
class Live:
    """A running server, its models and its configuration."""

    grpc: str
    rest: str
    models: Path
    config: Path

    def clients(self, **model):
        """One client of each transport."""
        return [kind(address, Model(NAME, **model), timeout=20)
                for kind, address in ((GrpcClient, self.grpc), (RestClient, self.rest))]

    def golden(self, version=1):
        """(inputs by column, scores) as stored by the export."""
        return golden(self.models / NAME / str(version))

    def write(self, **changes):
        """Replaces the configuration, see ``models_config``."""
        temporary = self.config.with_suffix(".new")
        temporary.write_text(models_config(self.models, **changes))
        temporary.replace(self.config)


def golden(folder):
    content = json.loads((folder / "assets.extra/golden_requests.json").read_text())
    columns = {name: [row[name] for row in content["instances"]] for name in content["instances"][0]}
    return columns, np.array(content["outputs"]["score"], np.float32)


def models_config(models, versions, labels=None):
    asked = " ".join(f"versions: {version}" for version in versions)
    named = "\n".join(f'    version_labels {{ key: "{label}" value: {version} }}'
                      for label, version in (labels or {}).items())
    return (f'model_config_list {{\n  config {{\n    name: "{NAME}"\n    base_path: "{models / NAME}"\n'
            f'    model_platform: "tensorflow"\n    model_version_policy {{ specific {{ {asked} }} }}\n{named}\n'
            "  }\n}\n")


@contextlib.contextmanager
def live_server(models, folder, **config):
    """Serves the models with a configuration in ``folder``; the server polls both."""
    path = folder / "models.config"
    path.write_text(models_config(models, **config))
    with (_real if BINARY else _development)(path) as (grpc, rest):
        yield Live(grpc, rest, models, path)


def copied(models, folder, *versions):
    """A folder of models with copies of some versions, which tests may change."""
    for version in versions:  # renamed when complete, like an export
        hidden = shutil.copytree(models / NAME / str(version), folder / NAME / f".{version}")
        hidden.rename(folder / NAME / str(version))
    return folder


def wait_for(ask, seconds=60):
    """Calls ``ask`` until it returns a true value without an error, and returns it."""
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(RequestError):
            if found := ask():
                return found
        assert time.monotonic() < end, "the server did not reach the expected state in time"
        time.sleep(0.05)


def answering(client, columns, scores):
    """Whether a client receives these scores."""
    return np.allclose(client.predict(Predict(columns))["score"], scores, rtol=0, atol=1e-5)


@contextlib.contextmanager
def _development(path):
    with DevelopmentServer(open_models(path)) as server:
        server.manager.watch(0.1)
        yield server.grpc, server.rest


@contextlib.contextmanager
def _real(path):
    """Writes the server's output to server.log beside the configuration."""
    assert shutil.which(BINARY), f"TENSORFLOW_MODEL_SERVER names {BINARY!r}, which is not a program"
    grpc, rest = two_free_ports()
    log = path.with_name("server.log")
    with log.open("w") as output:
        process = subprocess.Popen([
            BINARY, f"--port={grpc}", f"--rest_api_port={rest}", f"--model_config_file={path}",
            "--model_config_file_poll_wait_seconds=1", "--file_system_poll_wait_seconds=1", "--grpc_max_threads=64",
            *LOAD_FLAGS, "--allow_version_labels_for_unavailable_models=true"], stdout=output, stderr=output)

    def answers():
        assert process.poll() is None, f"{BINARY} ended with {process.returncode}: {log.read_text()[-4000:]}"
        with GrpcClient(f"127.0.0.1:{grpc}", Model(NAME)) as client:
            return client.metadata()

    try:
        wait_for(answers)
        yield f"127.0.0.1:{grpc}", f"127.0.0.1:{rest}"
    finally:
        end(process, 30)
