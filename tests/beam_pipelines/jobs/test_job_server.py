"""A job endpoint that is dead, silent or another kind of server is reported in one line, within seconds."""

import concurrent.futures
import http.server
import socket
import threading
import time

import grpc
import pytest
from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc

from beam_pipelines.jobs import job_server
from beam_pipelines.jobs.job_server import require_job_server
from beam_pipelines.jobs.runner import pipeline_options, run_pipeline
from tfrs_pretrain.errors import UserError


@pytest.fixture
def closed_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


@pytest.fixture
def silent_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def web_port():
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()


@pytest.mark.parametrize("kind", ["closed", "silent", "web"])
def test_an_endpoint_without_a_job_server_is_one_line(kind, request, monkeypatch):
    monkeypatch.setattr(job_server, "TIMEOUT_SECONDS", 0.5)
    endpoint = f"127.0.0.1:{request.getfixturevalue(f'{kind}_port')}"
    options = pipeline_options(["--runner=PortableRunner", f"--job_endpoint={endpoint}", "--environment_type=LOOPBACK"])
    start = time.monotonic()
    with pytest.raises(UserError) as caught:
        run_pipeline(lambda pipeline: None, options)
    assert str(caught.value).startswith(f"no Beam job server answers at --job_endpoint={endpoint} within 0.5 s (")
    assert str(caught.value).endswith("): start it, or correct host and port (8099 by default)")
    assert "\n" not in str(caught.value)
    assert time.monotonic() - start < 20


def test_another_service_of_grpc_is_refused():
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with pytest.raises(UserError, match=r"no Beam job server answers .* \(Method not found!\)"):
        require_job_server(f"127.0.0.1:{port}")
    server.stop(None)


def test_a_job_server_that_starts_a_little_later_is_awaited(closed_port):
    class JobService(beam_job_api_pb2_grpc.JobServiceServicer):
        def DescribePipelineOptions(self, request, context):  # noqa: N802
            return beam_job_api_pb2.DescribePipelineOptionsResponse()

    server = grpc.server(concurrent.futures.ThreadPoolExecutor(1))
    beam_job_api_pb2_grpc.add_JobServiceServicer_to_server(JobService(), server)

    def start():
        server.add_insecure_port(f"127.0.0.1:{closed_port}")
        server.start()

    later = threading.Timer(.3, start)
    later.start()
    require_job_server(f"127.0.0.1:{closed_port}")
    later.join()
    server.stop(None)
