"""CSV and TSV with a header line (RFC 4180). Fields are text; an empty field is a missing value."""

import codecs
import csv
from collections.abc import Iterable, Iterator
from typing import Any

from beam_pipelines.sources.base import ColumnTypes, MalformedRow, RawBatch
from beam_pipelines.sources.compression import refuse_compressed
from beam_pipelines.sources.limits import OVERSIZED_LINE, shown_part
from beam_pipelines.sources.text import Row, TextFormat, has_byte_lines, open_lines, to_batches
from tfrs_pretrain.config import DatasetConfig, Source

DELIMITERS = ",;\t|"  # that a header of one column may contain by mistake


class Csv(TextFormat):
    """The position of a row is the line where it ends."""

    name = "CSV"

    def __init__(self, table: str, limits: DatasetConfig, source: Source):
        super().__init__(table, limits, source)
        self._delimiter = source.csv_delimiter
        self._encoding = source.encoding or "utf-8"

    def column_types(self, path: str) -> ColumnTypes:
        with open_lines(path, self.limits, self._encoding) as lines:
            header = _read_header(self._reader(refuse_compressed(lines), {}))
        if len(set(header)) < len(header) or not header:
            raise ValueError(f"line 1 must name each column once, found {header}")
        if len(header) == 1 and (found := [name for name in DELIMITERS if name in header[0]]):
            raise ValueError(f"line 1 has one column, {header[0][:80]!r}: if {found[0]!r} separates the fields, set "
                             f"delimiter in dataset.sources.{self.table}")
        return dict.fromkeys(header)

    def read(self, path: str, part: tuple[int, int], columns: list[str], batch_rows: int) -> Iterator[RawBatch]:
        with open_lines(path, self.limits, self._encoding) as lines:
            bad_lines: dict[str, str] = {}
            rows = _parse_rows(self._reader(lines, bad_lines), bad_lines, columns)
            yield from to_batches(path, columns, rows, batch_rows)

    def _reader(self, lines: Iterable[bytes], bad_lines: dict[str, str]) -> Any:
        texts = _decode(lines, bad_lines, self.limits.max_line_bytes, self._encoding)
        return csv.reader(texts, delimiter=self._delimiter, strict=True)


def _parse_rows(reader: Any, bad_lines: dict[str, str], columns: list[str]
                ) -> Iterator[tuple[int, Row] | MalformedRow]:
    """Yields the rows of a reader that fills ``bad_lines``, see ``_decode``."""
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


def _decode(lines: Iterable[bytes], bad_lines: dict[str, str], max_line_bytes: int, encoding: str) -> Iterator[str]:
    """Decodes lines; adds the reason and, if the fields do not show it, the text of bad lines.

    Args:
      lines: see ``open_lines``.
      bad_lines: reason -> text, of the current row.
      max_line_bytes: maximum length of a line.
      encoding: of the file.
    """
    encoding = encoding if has_byte_lines(encoding) else "utf-8"
    is_utf8 = codecs.lookup(encoding).name == "utf-8"
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
            yield content.decode(encoding)
        except UnicodeDecodeError:
            bad_lines["not UTF-8" if is_utf8 else f"not {encoding}"] = ""
            yield content.decode(encoding, errors="replace")
