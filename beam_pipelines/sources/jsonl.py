"""JSON lines: one object per line. A missing key is a missing value."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from beam_pipelines.sources.base import ColumnTypes, MalformedRow, RawBatch
from beam_pipelines.sources.compression import refuse_compressed
from beam_pipelines.sources.limits import OVERSIZED_LINE, shown_part
from beam_pipelines.sources.text import Row, TextFormat, open_lines, row_of_values, to_batches


class JsonLines(TextFormat):
    """Numbers and strings are both converted to text and parsed as the schema declares."""

    name = "JSON lines"

    def column_types(self, path: str) -> ColumnTypes:
        with open_lines(path, self.limits) as lines:
            # An oversized line is a rejected row.
            first = next((line for line in refuse_compressed(lines)
                          if line.strip() and len(line) <= self.limits.max_line_bytes), b"{}")
        if not _may_be_object(first):
            raise ValueError(f"line 1: expected an object, found {first[:80].decode(errors='replace')!r}")
        return None

    def read(self, path: str, part: tuple[int, int], columns: list[str], batch_rows: int) -> Iterator[RawBatch]:
        with open_lines(path, self.limits) as lines:
            yield from to_batches(path, columns, _parse_rows(lines, columns, self.limits.max_line_bytes), batch_rows)


def _parse_rows(lines: Iterable[bytes], columns: list[str], max_line_bytes: int
                ) -> Iterator[tuple[int, Row] | MalformedRow]:
    for number, line in enumerate(lines, start=1):
        if len(line) > max_line_bytes:
            yield MalformedRow(number, OVERSIZED_LINE, shown_part(line))
            continue
        if not line.strip():
            continue
        values = _parse_object(line)
        if values is None:
            yield MalformedRow(number, "not a JSON object", line.decode(errors="replace").rstrip("\r\n"))
        else:
            yield row_of_values(number, values, columns)


def _may_be_object(line: bytes) -> bool:
    """Whether a line is an object; one that is nested too deeply is a rejected row, not another format."""
    try:
        return isinstance(json.loads(line), dict)
    except RecursionError:
        return line.lstrip().startswith(b"{")
    except ValueError:
        return False


def _parse_object(line: bytes) -> dict[str, Any] | None:
    """Parses a line; None if it is no object, or nested too deeply to be parsed."""
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return values if isinstance(values, dict) else None
