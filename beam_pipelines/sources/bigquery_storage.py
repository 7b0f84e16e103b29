"""A BigQuery table as Arrow batches, through the streams of the Storage API; requires the ``gcp`` extra."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.io.gcp.bigquery_tools import parse_table_reference
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions
from google.api_core.exceptions import ClientError
from google.cloud.bigquery_storage_v1 import BigQueryReadClient, types

from tfrs_pretrain.errors import UserError


def make_client() -> Any:
    """Creates a client with the credentials of the process; the library does not declare the types of its methods."""
    create: Any = BigQueryReadClient
    return create()


@dataclasses.dataclass(frozen=True)
class StoredTable:
    """A table to read.

    Attributes:
      project: its project.
      dataset: its dataset.
      name: its name.
      columns: names to read; a dotted name is a field of a record.
    """

    project: str
    dataset: str
    name: str
    columns: tuple[str, ...]

    @classmethod
    def parse(cls, place: str, columns: list[str], options: PipelineOptions) -> "StoredTable":
        """Parses ``[project:]dataset.table``; the default project is that of the options.

        Raises:
          UserError: it is no such place, or there is no project.
        """
        try:
            found = parse_table_reference(place)
        except ValueError as error:
            raise UserError(f"BigQuery table {place!r}: expected project:dataset.table ({error})") from error
        project = found.projectId or options.view_as(GoogleCloudOptions).project
        if not project:
            raise UserError(f"BigQuery table {place!r} names no project: write project:dataset.table, or pass "
                            "--project")
        return cls(project, found.datasetId, found.tableId, tuple(columns))

    def streams(self) -> Iterator[str]:
        """Yields the names of the streams into which the service divides the rows, all of one moment.

        Raises:
          UserError: the service refuses to read the table or a column, such as one that does not exist.
        """
        options = types.ReadSession.TableReadOptions(
            selected_fields=list(self.columns), arrow_serialization_options=types.ArrowSerializationOptions(
                buffer_compression=types.ArrowSerializationOptions.CompressionCodec.LZ4_FRAME))
        session = types.ReadSession(
            table=f"projects/{self.project}/datasets/{self.dataset}/tables/{self.name}",
            data_format=types.DataFormat.ARROW, read_options=options)
        try:
            created = make_client().create_read_session(parent=f"projects/{self.project}", read_session=session)
        except ClientError as error:
            raise UserError(f"BigQuery table {self.project}:{self.dataset}.{self.name} cannot be read "
                            f"({' '.join(str(error).split())}): correct its name, the columns of the schema section, "
                            "or the permissions") from error
        yield from (stream.name for stream in created.streams)


def read_stream(name: str) -> Iterator[pa.RecordBatch]:
    """Yields the rows of a stream; the client continues where a connection has failed."""
    schema: Any = None
    for message in make_client().read_rows(name):
        # Only the first message contains the schema.
        schema = schema or pa.ipc.read_schema(pa.py_buffer(message.arrow_schema.serialized_schema))
        yield pa.ipc.read_record_batch(pa.py_buffer(message.arrow_record_batch.serialized_record_batch), schema)


class ReadStoredTable(beam.PTransform):
    """``PBegin -> PCollection[RecordBatch]`` of a table; each stream is read by one worker."""

    def __init__(self, place: str, columns: list[str]):
        super().__init__()
        self._place, self._columns = place, columns

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection[pa.RecordBatch]:
        table = StoredTable.parse(self._place, self._columns, begin.pipeline.options)
        return (
            begin
            | "Table" >> beam.Create([table])
            | "CreateSession" >> beam.FlatMap(StoredTable.streams)
            | "Reshuffle" >> beam.Reshuffle()
            | "ReadStream" >> beam.FlatMap(read_stream)
        )
