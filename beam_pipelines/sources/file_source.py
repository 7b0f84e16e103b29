"""Tables of files in one format."""

from collections.abc import Callable, Iterator
from typing import Any

import apache_beam as beam

from beam_pipelines.records.files import FileState, list_table_files
from beam_pipelines.sources.base import ColumnTypes, Format, RawBatch, TableSource
from beam_pipelines.sources.parallel import map_files
from beam_pipelines.sources.path_columns import add_path_values, missing_in, path_values

READ_ALL_BATCH_ROWS = 1 << 20

Part = tuple[str, tuple[int, int]]  # path, part of the file


class FileSource(TableSource):
    """Files of one format on any file system that Beam supports.

    Args:
      table: name for messages.
      pattern: file, folder or glob pattern.
      file_format: format of the files.
      suffixes: file name suffixes to take from a folder.
    """

    def __init__(self, table: str, pattern: str, file_format: Format, suffixes: tuple[str, ...]):
        self._table, self._pattern, self._format, self._suffixes = table, pattern, file_format, suffixes
        self.limits = file_format.limits

    def read(self, columns: list[str], batch_rows: int) -> beam.PTransform:
        return _ReadFiles(self, columns, batch_rows)

    def column_types(self) -> Iterator[tuple[str, ColumnTypes]]:
        for path, types in map_files(lambda path: self._decode(path, self._format.column_types), self.files()):
            yield path, None if types is None else dict.fromkeys(path_values(path)) | types

    def num_rows(self) -> int:
        counts = map_files(lambda path: self._decode(path, self._format.num_rows), self.files())
        return sum(count for _, count in counts)

    def read_all(self, columns: list[str]) -> Iterator[RawBatch]:
        def read(path: str) -> list[RawBatch]:
            return [batch for part in self.parts(path) for batch in self.read_part(part, columns, READ_ALL_BATCH_ROWS)]

        for _, batches in map_files(read, self.files()):
            yield from batches

    def file_states(self) -> Iterator[tuple[str, FileState]]:
        yield from self._decode(self._pattern, lambda _: self.files()).items()

    def files(self) -> dict[str, FileState]:
        """Lists the files, sorted by path, with their states."""
        return list_table_files(self._table, self._pattern, self._suffixes)

    def parts(self, path: str) -> Iterator[Part]:
        """Yields every part of a file."""
        for part in self._decode(path, lambda path: list(self._format.parts(path))):
            yield path, part

    def read_part(self, element: Part, columns: list[str], batch_rows: int) -> Iterator[RawBatch]:
        """Yields the rows of one part; columns that it does not have come from the names of its folders."""
        path, part = element
        try:
            yield from self._read(path, part, columns, batch_rows)
        except self._format.errors as error:
            raise self._format.unreadable_error(path, error) from error

    def _read(self, path: str, part: tuple[int, int], columns: list[str], batch_rows: int) -> Iterator[RawBatch]:
        if not path_values(path).keys() & columns:
            yield from self._format.read(path, part, columns, batch_rows)
            return
        types = self._format.column_types(path)
        added = {} if types is None else missing_in(columns, types, path)
        for batch in self._format.read(path, part, [name for name in columns if name not in added], batch_rows):
            # Without types, the rows tell.
            more = added if types is not None else missing_in(columns, batch.present, path)
            yield add_path_values(batch, columns, more)

    def _decode(self, path: str, decode: Callable[[str], Any]) -> Any:
        try:
            return decode(path)
        except self._format.errors as error:
            raise self._format.unreadable_error(path, error) from error

    def __str__(self) -> str:
        return self._pattern


class _ReadFiles(beam.PTransform):
    """Reads the parts of files in parallel."""

    def __init__(self, source: FileSource, columns: list[str], batch_rows: int):
        super().__init__()
        self._source, self._columns, self._batch_rows = source, columns, batch_rows

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection[RawBatch]:
        return (
            begin
            | "CreatePattern" >> beam.Create([str(self._source)])
            | "ListFiles" >> beam.FlatMap(lambda _: self._source.files()).with_output_types(str)
            | "ShuffleFiles" >> beam.Reshuffle()
            | "ListParts" >> beam.FlatMap(self._source.parts).with_output_types(Part)
            | "ShuffleParts" >> beam.Reshuffle()
            | "ReadBatches" >> beam.FlatMap(self._source.read_part, self._columns, self._batch_rows)
            .with_output_types(RawBatch)
        )
