"""Tables in parts that workers read independently: the base of an own source, such as a database."""

import abc
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa

from beam_pipelines.sources.base import RawBatch, TableSource
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.own_code import reason

READ_ALL_BATCH_ROWS = 1 << 17


class PartSource(TableSource):
    """A table whose rows can be read in parts. A subclass also implements ``column_types`` and ``__str__``.

    Beam pickles the source and sends it to the workers: open connections in ``parts`` and ``read_part``.
    """

    @abc.abstractmethod
    def parts(self) -> Iterable[Any]:
        """Returns what identifies each part, in a fixed order: texts, numbers or tuples of them."""

    @abc.abstractmethod
    def read_part(self, part: Any, columns: list[str], batch_rows: int) -> Iterator[pa.RecordBatch]:
        """Yields the rows of a part in a fixed order: the requested columns, at most ``batch_rows`` in a batch."""

    def read(self, columns: list[str], batch_rows: int) -> beam.PTransform:
        return _ReadParts(self, columns, batch_rows)

    def read_all(self, columns: list[str]) -> Iterator[RawBatch]:
        for part in self.parts():
            yield from self.numbered(part, columns, READ_ALL_BATCH_ROWS)

    def numbered(self, part: Any, columns: list[str], batch_rows: int) -> Iterator[RawBatch]:
        """Yields the rows of a part with their numbers in it, from 0.

        Raises:
          UserError: ``read_part`` fails, or yields something else.
        """
        start, origin = 0, f"{self}, part {part}"
        try:
            for batch in self.read_part(part, columns, batch_rows):
                if not isinstance(batch, pa.RecordBatch):
                    raise TypeError(f"read_part yields {type(batch).__name__}, expected pyarrow.RecordBatch")
                yield RawBatch(origin, np.arange(start, start + batch.num_rows), batch)
                start += batch.num_rows
        except UserError:
            raise
        except Exception as error:  # the user's code may raise anything
            raise UserError(f"{origin} cannot be read ({reason(error)}): correct the source or its settings") from error


class _ReadParts(beam.PTransform):
    """Reads the parts in parallel."""

    def __init__(self, source: PartSource, columns: list[str], batch_rows: int):
        super().__init__()
        self._source, self._columns, self._batch_rows = source, columns, batch_rows

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection[RawBatch]:
        source = self._source
        return (
            begin
            | "CreateSource" >> beam.Create([str(source)])
            | "ListParts" >> beam.FlatMap(lambda _: source.parts())
            | "ShuffleParts" >> beam.Reshuffle()
            | "ReadParts" >> beam.FlatMap(source.numbered, self._columns, self._batch_rows)
            .with_output_types(RawBatch)
        )
