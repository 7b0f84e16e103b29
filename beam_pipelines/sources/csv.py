"""CSV with a header line (RFC 4180). Fields are text; an empty field is a missing value."""

import codecs
import csv
from collections.abc import Iterable, Iterator

from beam_pipelines.sources.base import ColumnTypes, MalformedRow, RawBatch
from beam_pipelines.sources.limits import OVERSIZED_LINE, shown_part
from beam_pipelines.sources.text import Row, TextFormat, open_lines, refuse_compressed, to_batches


class Csv(TextFormat):
    """The position of a row is the line where it ends."""

    name = "CSV"

    def column_types(self, path: str) -> ColumnTypes:
        with open_lines(path, self.limits) as lines:
            header = _read_header(csv.reader(_decode(refuse_compressed(lines), {}, self.limits.max_line_bytes),
                                             strict=True))
        if len(set(header)) < len(header) or not header:
            raise ValueError(f"line 1 must name each column once, found {header}")
        return dict.fromkeys(header)

    def read(self, path: str, part: tuple[int, int], columns: list[str], batch_rows: int) -> Iterator[RawBatch]:
        with open_lines(path, self.limits) as lines:
            yield from to_batches(path, columns, _parse_rows(lines, columns, self.limits.max_line_bytes), batch_rows)


def _parse_rows(lines: Iterable[bytes], columns: list[str], max_line_bytes: int
                ) -> Iterator[tuple[int, Row] | MalformedRow]:
    bad_lines: dict[str, str] = {}
    reader = csv.reader(_decode(lines, bad_lines, max_line_bytes), strict=True)
    header = _read_header(reader)
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
        if bad_lines:
            reason, text = bad_lines.popitem()
            bad_lines.clear()
            yield MalformedRow(reader.line_num, reason, text or ",".join(fields))
        elif len(fields) == len(header):
            yield reader.line_num, [fields[place] or None for place in places]
        elif fields:
            yield MalformedRow(reader.line_num, "wrong number of fields", ",".join(fields))


def _read_header(reader: Iterator[list[str]]) -> list[str]:
    """Returns the names of the columns; empty for an empty file.

    Raises:
      ValueError: the header is no row of CSV, or the lines of the file end in CR alone.
    """
    try:
        return next(reader, [])
    except csv.Error as error:
        found = "a line ends in CR without LF: convert the line ends to LF" if "new-line" in str(error) else error
        raise ValueError(f"line 1, the header: {found}") from error


def _decode(lines: Iterable[bytes], bad_lines: dict[str, str], max_line_bytes: int) -> Iterator[str]:
    """Decodes lines as UTF-8; adds the reason and, if the fields do not show it, the text of bad lines."""
    for number, line in enumerate(lines, start=1):
        content = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
        if len(content) > max_line_bytes:
            if number == 1:
                raise ValueError(f"line 1, the header, has more than dataset.max_line_bytes = {max_line_bytes} bytes")
            bad_lines[OVERSIZED_LINE] = shown_part(content)
            # Without its content: a quote in the part of the line that was read would swallow the following rows.
            yield "oversized\n"
            continue
        try:
            yield content.decode()
        except UnicodeDecodeError:
            bad_lines["not UTF-8"] = ""
            yield content.decode(errors="replace")
