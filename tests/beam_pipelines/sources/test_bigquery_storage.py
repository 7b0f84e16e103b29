"""Tables of BigQuery from a local server that implements the Storage API with the library's own messages."""

import concurrent.futures
import datetime
import sys

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to

from beam_pipelines.sources import open_source
from beam_pipelines.sources.bigquery import _to_columns
from tfrs_pretrain.config import Source
from tfrs_pretrain.errors import UserError

grpc = pytest.importorskip("grpc")
storage = pytest.importorskip("google.cloud.bigquery_storage_v1")
SERVICE = "google.cloud.bigquery.storage.v1.BigQueryRead"
SCHEMA = pa.schema([("user", pa.int64()), ("item", pa.string()), ("at", pa.timestamp("us", "UTC")),
                    ("unread", pa.int64())])


class Service:
    """Streams of one table; the connection of the second stream breaks once, after its first message."""

    def __init__(self, streams):
        self.streams, self.sessions, self.breaks = streams, [], ["1"]

    def create(self, request, context):
        session = request.read_session
        if unknown := {*session.read_options.selected_fields} - {*SCHEMA.names}:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"no such field:\n{unknown.pop()}")
        self.sessions.append((request.parent, session.table, list(session.read_options.selected_fields)))
        self.schema = pa.schema([SCHEMA.field(name) for name in session.read_options.selected_fields])
        return storage.types.ReadSession(name="s", data_format=session.data_format, streams=[
            storage.types.ReadStream(name=str(number)) for number in range(len(self.streams))])

    def read(self, request, context):
        offset, first = request.offset, True
        for batch in self.streams[int(request.read_stream)]:
            rows = batch.select(self.schema.names).slice(min(offset, batch.num_rows))
            offset -= batch.num_rows - rows.num_rows
            if not rows.num_rows:
                continue
            yield storage.types.ReadRowsResponse(
                row_count=rows.num_rows, arrow_record_batch=storage.types.ArrowRecordBatch(
                    serialized_record_batch=_serialized(rows)),
                **({"arrow_schema": storage.types.ArrowSchema(
                    serialized_schema=self.schema.serialize().to_pybytes())} if first else {}))
            first = False
            if request.read_stream in self.breaks:
                self.breaks.remove(request.read_stream)
                context.abort(grpc.StatusCode.UNAVAILABLE, "connection lost")


def _serialized(rows):
    """The message of a batch, compressed as the source requests."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
        writer.write_batch(rows)
    reader = pa.ipc.MessageReader.open_stream(sink.getvalue())
    reader.read_next_message()  # the schema
    return reader.read_next_message().serialize().to_pybytes()


@pytest.fixture
def serve(monkeypatch):
    """Starts a server for streams and makes the source use it; returns the service."""
    from beam_pipelines.sources import bigquery_storage

    started = []

    def start(streams):
        service, types = Service(streams), storage.types
        server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, {
            "CreateReadSession": grpc.unary_unary_rpc_method_handler(
                service.create, types.CreateReadSessionRequest.deserialize, types.ReadSession.serialize),
            "ReadRows": grpc.unary_stream_rpc_method_handler(
                service.read, types.ReadRowsRequest.deserialize, types.ReadRowsResponse.serialize)})])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        started.extend([channel.close, lambda: server.stop(None).wait()])
        transport = storage.services.big_query_read.transports.BigQueryReadGrpcTransport(channel=channel)
        monkeypatch.setattr(bigquery_storage, "make_client", lambda: storage.BigQueryReadClient(transport=transport))
        return service

    yield start
    for end in started:
        end()


def batch(first, rows):
    numbers = np.arange(first, first + rows)
    moment = datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC)
    return pa.RecordBatch.from_pydict({
        "user": numbers, "item": [None if number % 7 == 0 else f"é{number}" for number in numbers],
        "at": [moment + datetime.timedelta(microseconds=int(number) * 250_000) for number in numbers],
        "unread": numbers}, SCHEMA)


def test_all_streams_are_read_as_rows_were(serve):
    service = serve([[batch(0, 10), batch(10, 3)], [batch(20, 4), batch(24, 5)], []])
    columns = ["item", "user", "at"]
    expected = [row for stream in service.streams for content in stream for raw in _to_columns(
        content.to_pylist(), "b", columns) for row in raw.columns.to_pylist()]
    with test_pipeline.TestPipeline(runner="FnApiRunner") as pipeline:
        batches = pipeline | open_source("t", Source(format="bigquery", path="shop:logs.buys"), "raw").read(columns, 4)
        assert_that(batches | beam.FlatMap(lambda raw: [
            (raw.path, raw.columns.num_rows <= 4, row) for row in raw.columns.to_pylist()]),
            equal_to([("bigquery:shop:logs.buys", True, row) for row in expected]))
    assert service.sessions == [("projects/shop", "projects/shop/datasets/logs/tables/buys", columns)]
    assert service.breaks == []


@pytest.mark.parametrize(("place", "options", "message"), [
    ("logs.buys", [], r"'logs.buys' names no project: write project:dataset.table, or pass --project"),
    ("buys", ["--project=shop"], r"'buys': expected project:dataset.table")])
def test_a_table_without_its_place_is_refused(place, options, message):
    with pytest.raises(UserError, match=message):
        _ = beam.Pipeline(runner="FnApiRunner", options=PipelineOptions(options)) | open_source(
            "t", Source(format="bigquery", path=place), "raw").read(["x"], 10)


def test_what_the_service_refuses_is_one_line(serve):
    from beam_pipelines.sources.bigquery_storage import StoredTable

    serve([])
    with pytest.raises(UserError, match=r"shop:logs\.buys cannot be read \(400 no such field: usr\): correct") as (
            refused):
        list(StoredTable("shop", "logs", "buys", ("usr",)).streams())
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("place", [{"path": "shop:logs.buys"}, {"query": "select 1 as x"}])
def test_without_the_client_the_extra_is_named(place, monkeypatch):
    for name in ("google.cloud.bigquery_storage_v1", "beam_pipelines.sources.bigquery_storage"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "google.cloud.bigquery_storage_v1", None)
    with pytest.raises(UserError, match=r"table t: reading BigQuery needs .* pip install 'tfrs-pretrain\[gcp\]'"):
        _ = beam.Pipeline(runner="FnApiRunner") | open_source("t", Source(format="bigquery", **place), "raw").read(
            ["x"], 10)


def test_the_project_of_the_options_is_the_default(serve):
    service = serve([[batch(0, 2)]])
    options = PipelineOptions(["--project=shop"])
    with test_pipeline.TestPipeline(runner="FnApiRunner", options=options) as pipeline:
        batches = pipeline | open_source("t", Source(format="bigquery", path="logs.buys"), "raw").read(["user"], 9)
        assert_that(batches | beam.Map(lambda raw: raw.columns.to_pylist()), equal_to([[{"user": "0"}, {"user": "1"}]]))
    assert service.sessions[0][:2] == ("projects/shop", "projects/shop/datasets/logs/tables/buys")
