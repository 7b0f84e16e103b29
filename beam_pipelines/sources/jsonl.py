"""JSON lines: one object per line. A missing key is a missing value."""

import json
from collections.abc import Iterable, Iterator

from beam_pipelines.sources.base import ColumnTypes, MalformedRow, RawBatch
from beam_pipelines.sources.limits import OVERSIZED_LINE, shown_part
from beam_pipelines.sources.text import Row, TextFormat, is_unicode, open_lines, row_of_values, to_batches

HALF_CHARACTER = "half of a surrogate pair"  # two escapes stand for an emoji; one of them was cut off


class JsonLines(TextFormat):
    """Numbers and strings are both converted to text and parsed as the schema declares."""

    name = "JSON lines"

    def column_types(self, path: str) -> ColumnTypes:
        with open_lines(path, self.limits) as lines:
            # An oversized line is a rejected row.
            first = next((line for line in lines if line.strip() and len(line) <= self.limits.max_line_bytes), b"{}")
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
        try:
            yield _parse_row(number, line, columns)
        except (ValueError, RecursionError) as error:
            reason = "nested too deeply" if isinstance(error, RecursionError) else "not a JSON object"
            yield MalformedRow(number, reason, _shown(line))


def _parse_row(number: int, line: bytes, columns: list[str]) -> tuple[int, Row] | MalformedRow:
    values = json.loads(line)
    if not isinstance(values, dict):
        raise ValueError("not an object")
    row = row_of_values(number, values, columns)
    if b"\\u" in line and not isinstance(row, MalformedRow):
        for value in row[1]:
            if isinstance(value, str) and not is_unicode(value):
                return MalformedRow(number, HALF_CHARACTER, _shown(line))
    return row


def _shown(line: bytes) -> str:
    return line.decode(errors="replace").rstrip("\r\n")


def _may_be_object(line: bytes) -> bool:
    """Whether a line is a JSON object; one that is nested too deeply is a rejected row, not another format."""
    try:
        return isinstance(json.loads(line), dict)
    except RecursionError:
        return line.lstrip().startswith(b"{")
