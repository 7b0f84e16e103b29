"""CSV with a header line (RFC 4180): fields are text, an empty field is a missing value."""

import codecs
import csv
from collections.abc import Iterable, Iterator

from beam_pipelines.sources.base import ColumnTypes, MalformedRow, RawBatch
from beam_pipelines.sources.text import Row, TextFormat, batches, open_lines


class Csv(TextFormat):
    """The position of a row is the line on which it ends."""

    name = "CSV"

    def types(self, path: str) -> ColumnTypes:
        with open_lines(path) as lines:
            header = next(csv.reader(_decoded(lines, set())), [])
        if len(set(header)) < len(header) or not header:
            raise ValueError(f"line 1 must name each column once, it holds {header}")
        return dict.fromkeys(header)

    def read(self, path: str, part: tuple[int, int], columns: list[str], batch_rows: int) -> Iterator[RawBatch]:
        with open_lines(path) as lines:
            yield from batches(path, columns, _rows(lines, columns), batch_rows)


def _rows(lines: Iterable[bytes], columns: list[str]) -> Iterator[tuple[int, Row] | MalformedRow]:
    undecodable: set[int] = set()
    reader = csv.reader(_decoded(lines, undecodable), strict=True)
    header = next(reader, [])
    places = [header.index(name) for name in columns]
    while True:
        before = reader.line_num
        try:
            fields = next(reader, None)
        except csv.Error as error:
            # A quote that is not closed swallows the rows after it, which nobody could count.
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


def _decoded(lines: Iterable[bytes], undecodable: set[int]) -> Iterator[str]:
    """Text of each line; the numbers of lines that are not UTF-8 are added to ``undecodable``."""
    for number, line in enumerate(lines, start=1):
        content = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
        try:
            yield content.decode()
        except UnicodeDecodeError:
            undecodable.add(number)
            yield content.decode(errors="replace")
