"""Trackers against the real tools: an MLflow server, OTLP on the wire, Prometheus's parser, OpenLineage's client."""

import http.server
import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import requests
from planted import planted_config

from tfrs_pretrain.artifact_names import EMBEDDINGS_KIND
from tfrs_pretrain.artifacts import write_manifest
from tfrs_pretrain.config import Config
from tfrs_pretrain.tracking.stage import log_scalars, track

pytestmark = pytest.mark.tools


def config(**trackers):
    return Config.model_validate(planted_config() | {"tracking": trackers})


@pytest.fixture
def stage(tiny_dataset, tmp_path):
    """Function: tracks a stage that reports twice, writes a manifest and, if told, fails."""
    def stage(error=None, name="pretrain", output=None, **trackers):
        folder = output or tmp_path / "embeddings"
        with track(config(**trackers), name, folder, dataset=tiny_dataset.folder, start_from=None):
            log_scalars(10, {"train/loss": 0.5, "undefined": None})
            log_scalars(20, {"train/loss": 0.25})
            if error:
                raise error
            if not output:
                folder.mkdir(exist_ok=True)
                write_manifest(folder, EMBEDDINGS_KIND, {"epochs": [{"epoch": 1, "heldout_loss": 1.5}],
                                                         "counts": {"engagements": {"read": 7}}})

    return stage


@pytest.fixture(scope="module")
def mlflow_uri(tmp_path_factory):
    """A real MLflow server on the loopback interface."""
    folder = tmp_path_factory.mktemp("mlflow")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
         "--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}",
         "--artifacts-destination", str(folder / "artifacts")],
        cwd=folder, stdout=subprocess.DEVNULL, stderr=(folder / "log").open("w"), env=os.environ | {
            "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}, start_new_session=True)
    uri = f"http://127.0.0.1:{port}"
    for _ in range(300):
        try:
            requests.get(f"{uri}/health", timeout=1).raise_for_status()
            break
        except requests.RequestException:
            assert process.poll() is None, (folder / "log").read_text()
            time.sleep(0.2)
    yield uri
    os.killpg(process.pid, 15)
    process.wait(20)


def test_mlflow_has_run_parameters_metrics_by_step_and_manifest(stage, tiny_dataset, mlflow_uri, tmp_path, capsys):
    from mlflow import MlflowClient

    stage(mlflow={"uri": mlflow_uri, "experiment": "shop"})
    assert "tracker" not in capsys.readouterr().out
    client = MlflowClient(mlflow_uri, mlflow_uri)
    [run] = client.search_runs([client.get_experiment_by_name("shop").experiment_id])
    assert (run.info.status, run.info.run_name) == ("FINISHED", "planted_ranker pretrain")
    assert run.data.params["pretraining.epochs"] == str(config().pretraining.epochs)
    history = client.get_metric_history(run.info.run_id, "train/loss")
    assert [(point.step, point.value) for point in history] == [(10, 0.5), (20, 0.25)]
    assert run.data.metrics["final.heldout_loss"] == 1.5
    assert run.data.metrics["rows.engagements.read"] == 7
    from tfrs_pretrain.json_documents import json_digest
    assert run.data.tags["tfrs_pretrain.input.dataset"].endswith(f"@{json_digest(tiny_dataset.info)}")
    stored = client.download_artifacts(run.info.run_id, "manifest/manifest.json", str(tmp_path))
    assert Path(stored).read_bytes() == (tmp_path / "embeddings" / "manifest.json").read_bytes()


def test_mlflow_registers_an_exported_version_with_its_signature(stage, version, mlflow_uri, tmp_path, capsys):
    import mlflow
    from mlflow import MlflowClient

    for _ in range(2):
        stage(name="export", output=version, mlflow={"uri": mlflow_uri, "registered_model": "ranker"})
    assert "tracker" not in capsys.readouterr().out
    client = MlflowClient(mlflow_uri, mlflow_uri)
    found = sorted(client.search_model_versions("name = 'ranker'"), key=lambda each: int(each.version))
    assert [(each.version, each.tags["tfrs_pretrain.version"]) for each in found] == [("1", "3"), ("2", "3")]
    mlflow.set_tracking_uri(mlflow_uri)
    info = mlflow.models.get_model_info("models:/ranker/1")
    assert info.signature.inputs.input_names() == ["user_id"]
    assert str(info.signature.inputs.inputs[0].type) == "int64"
    assert info.signature.outputs.input_names() == ["score"]
    files = Path(client.download_artifacts(found[0].run_id, "model/saved_model", str(tmp_path)))
    assert {path.relative_to(files): path.read_bytes() for path in files.rglob("*") if path.is_file()} == {
        path.relative_to(version): path.read_bytes() for path in version.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("error", "status"), [(ValueError("a\nb"), "FAILED"), (SystemExit(143), "KILLED")])
def test_mlflow_records_how_a_stage_ended(stage, mlflow_uri, error, status):
    from mlflow import MlflowClient

    with pytest.raises(type(error)):
        stage(error, mlflow={"uri": mlflow_uri, "experiment": status})
    client = MlflowClient(mlflow_uri, mlflow_uri)
    [run] = client.search_runs([client.get_experiment_by_name(status).experiment_id])
    assert run.info.status == status
    assert run.data.tags["tfrs_pretrain.error"].startswith(type(error).__name__ + ": ")


def test_openlineage_events_are_valid_and_name_the_digests(stage, tiny_dataset, tmp_path):
    from openlineage.client.event_v2 import RunState

    from tfrs_pretrain.json_documents import json_digest

    file = tmp_path / "lineage.jsonl"
    stage(openlineage={"file": str(file), "namespace": "shop"})
    with pytest.raises(ValueError, match="wrong"):
        stage(ValueError("wrong"), openlineage={"file": str(file)})
    events = [json.loads(line) for line in file.read_text().splitlines()]
    assert [RunState(event["eventType"]).name for event in events] == ["START", "COMPLETE", "START", "FAIL"]
    start, complete, _, failed = events
    assert start["run"]["runId"] == complete["run"]["runId"] != failed["run"]["runId"]
    assert (start["job"]["namespace"], start["job"]["name"]) == ("shop", "planted_ranker.pretrain")
    [used], [made] = complete["inputs"], complete["outputs"]
    assert used["name"] == str(tiny_dataset.folder)
    assert used["facets"]["version"]["datasetVersion"] == json_digest(tiny_dataset.info)
    assert made["name"] == str(tmp_path / "embeddings")
    assert failed["run"]["facets"]["errorMessage"]["message"] == "ValueError: wrong"
    for event in events:
        assert_is_run_event(event)


def assert_is_run_event(event):
    """Checks the required fields and formats of OpenLineage's RunEvent."""
    import datetime
    import uuid

    assert {"eventTime", "eventType", "producer", "schemaURL", "run", "job", "inputs", "outputs"} <= set(event)
    assert datetime.datetime.fromisoformat(event["eventTime"]).tzinfo
    uuid.UUID(event["run"]["runId"])
    assert event["schemaURL"].endswith("#/$defs/RunEvent")
    for facets in (event["run"]["facets"], event["job"]["facets"], *(each["facets"] for each in event["inputs"])):
        assert all({"_producer", "_schemaURL"} <= set(facet) for facet in facets.values())


def test_prometheus_parses_the_file(stage, tmp_path):
    from prometheus_client.parser import text_string_to_metric_families

    stage(prometheus={"folder": str(tmp_path / "textfile")})
    [file] = (tmp_path / "textfile").iterdir()
    assert file.name == "tfrs_pretrain_pretrain.prom"
    samples = {(sample.name, sample.labels.get("name") or sample.labels.get("counter")): sample
               for family in text_string_to_metric_families(file.read_text()) for sample in family.samples}
    assert samples["tfrs_pretrain_running", None].value == 0
    assert samples["tfrs_pretrain_step", None].value == 20
    assert samples["tfrs_pretrain_metric", "train/loss"].value == 0.25
    assert samples["tfrs_pretrain_rows", "engagements.read"].value == 7
    assert samples["tfrs_pretrain_metric", "heldout_loss"].labels == {
        "stage": "pretrain", "model": "planted_ranker", "name": "heldout_loss"}
    assert abs(samples["tfrs_pretrain_last_success_timestamp_seconds", None].value - time.time()) < 60


@pytest.fixture
def otlp(monkeypatch):
    """Spans that arrive at a receiver of OTLP over HTTP."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    spans = []

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            import gzip

            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            message = ExportTraceServiceRequest.FromString(body)
            spans.extend(span for resource in message.resource_spans for scope in resource.scope_spans
                         for span in scope.spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    yield spans
    server.shutdown()


def test_spans_of_stage_and_steps_arrive(stage, otlp, monkeypatch):
    monkeypatch.setenv("TRACEPARENT", "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01")
    stage(opentelemetry={})
    first, second, whole = sorted(otlp, key=lambda span: (span.name != "steps", span.start_time_unix_nano))
    assert whole.name == "pretrain"
    assert whole.trace_id.hex() == "0123456789abcdef0123456789abcdef"
    assert {first.parent_span_id, second.parent_span_id} == {whole.span_id}
    assert first.end_time_unix_nano == second.start_time_unix_nano
    values = {entry.key: entry.value for entry in second.attributes}
    assert (values["tfrs_pretrain.first_step"].int_value, values["tfrs_pretrain.last_step"].int_value) == (10, 20)
    values = {entry.key: entry.value for entry in whole.attributes}
    assert values["tfrs_pretrain.rows.engagements.read"].double_value == 7
    with pytest.raises(ValueError, match="wrong"):
        stage(ValueError("wrong"), opentelemetry={})
    assert [span.status.message for span in otlp if span.name == "pretrain"] == ["", "ValueError: wrong"]


def test_a_request_of_the_client_is_a_span():
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from tfrs_pretrain.serving.client import GrpcClient, Model, RequestError
    from tfrs_pretrain.serving.client.tracing import TracedClient

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    client = TracedClient(GrpcClient("127.0.0.1:1", Model("ranker", label="stable"), timeout=0.2))
    with client, pytest.raises(RequestError):
        client.status()
    [span] = exporter.get_finished_spans()
    assert (span.name, span.kind.name, span.status.status_code.name) == ("status ranker", "CLIENT", "ERROR")
    assert span.attributes["tfrs_pretrain.version"] == "stable"


@pytest.fixture
def hanging():
    """Address of a server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_a_tracker_that_hangs_or_fails_costs_a_line_and_little_time(stage, hanging, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("tfrs_pretrain.tracking.stage.CLOSING_SECONDS", 0.5)
    (tmp_path / "file").write_text("")
    started = time.monotonic()
    stage(mlflow={"uri": hanging}, prometheus={"folder": str(tmp_path / "file")})
    assert time.monotonic() - started < 5
    lines = [line for line in capsys.readouterr().out.splitlines() if "tracker" in line]
    assert len(lines) == 2
    assert any(line.startswith("! tracker mlflow: it has not answered in time; this run is") for line in lines)
    assert any("! tracker prometheus: FileExistsError: " in line for line in lines)
    assert (tmp_path / "embeddings" / "manifest.json").is_file()
