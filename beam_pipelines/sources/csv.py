"""CSV with a header line (RFC 4180). Fields are text; an empty field is a missing value."""

import codecs
import csv
from collections.abc import Iterable, Iterator

from beam_pipelines.sources.base import ColumnTypes, MalformedRow, RawBatch
from beam_pipelines.sources.text import Row, TextFormat, open_lines, to_batches


class Csv(TextFormat):
    """The position of a row is the line where it ends."""

    name = "CSV"

    def column_types(self, path: str) -> ColumnTypes:
        with open_lines(path) as lines:
            header = next(csv.reader(_decode(lines, set())), [])
        if len(set(header)) < len(header) or not header:
            raise ValueError(f"line 1 must name each column once, found {header}")
        return dict.fromkeys(header)

    def read(self, path: str, part: tuple[int, int], columns: list[str], batch_rows: int) -> Iterator[RawBatch]:
        with open_lines(path) as lines:
            yield from to_batches(path, columns, _parse_rows(lines, columns), batch_rows)


def _parse_rows(lines: Iterable[bytes], columns: list[str]) -> Iterator[tuple[int, Row] | MalformedRow]:
    undecodable: set[int] = set()
    reader = csv.reader(_decode(lines, undecodable), strict=True)
    header = next(reader, [])
    places = [header.index(name) for name in columns]
    while True:
        before = reader.line_num
        try:
            fields = next(reader, None)
        except csv.Error as error:
            # An unclosed quote swallows the following rows: their number is unknown, so the file cannot be read.
            if reader.line_num > before + 1 or "unexpected end" in str(error):
                raise ValueError(f"line {before + 1}: {error}") from error
            yield MalformedRow(reader.line_num, "malformed row", str(error))
            continue
        if fields is None:
            return
        if undecodable:
            undecodable.clear()
            yield MalformedRow(reader.line_num, "not UTF-8", ",".join(fields))
        elif len(fields) == len(header):
            yield reader.line_num, [fields[place] or None for place in places]
        elif fields:
            yield MalformedRow(reader.line_num, "wrong number of fields", ",".join(fields))


def _decode(lines: Iterable[bytes], undecodable: set[int]) -> Iterator[str]:
    """Decodes lines as UTF-8; adds the numbers of the lines that are not to ``undecodable``."""
    for number, line in enumerate(lines, start=1):
        content = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
        try:
            yield content.decode()
        except UnicodeDecodeError:
            undecodable.add(number)
            yield content.decode(errors="replace")
