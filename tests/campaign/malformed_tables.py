"""Malformed tables in every format: forty good impressions, changed by a seed, and what a reader may do with them.

Some changes touch known rows: the others must be read unchanged. Others damage bytes, so that a damaged value may look
like a good one; then only the account of the rows is known.
"""

from __future__ import annotations

import csv
import datetime
import gzip
import io
import json
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq

Row = dict[str, Any]
COLUMNS = ("member", "item", "ts", "day", "surface", "dwell", "clicked")
DEEP = "[" * 20_000
VALUES = (
    None, "", " ", "abc", "\ud83d", True, 1.5, -1, 0, 2**63 - 1, 2**63, 10**30, "1e400", 1e308, "NaN", float("inf"),
    "1_000", "٣", "0x10", [1, 2], {"a": 1}, [[[["deep"]]]], "x" * 10_000, "\x00", "a\nb", 'a"b', '"', "a,b",
    "2024-13-45", "9999-12-31T23:59:59", "0001-01-01", "1e5", "+5", "05", "true",
    "2024-03-21 10:00:00+25:00", "\ufeff7", "7 ", "\u22127")


@dataclass
class Table:
    """A table as written.

    Attributes:
      content: bytes of the file.
      rows: rows as meant; None if their number is not known.
      touched: positions of the rows that were changed; None if every row may be damaged.
      costs_rows_only: the file must be read, whatever becomes of the touched rows.
    """

    content: bytes
    rows: list[Row] | None
    touched: set[int] | None = field(default_factory=set)
    costs_rows_only: bool = False


def good_rows() -> list[Row]:
    """Forty good impressions, each of another user."""
    return [{"member": 1000 + number, "item": f"ítem-{number}", "ts": f"2024-03-21T10:00:{number:02d}",
             "day": 20 + number % 14, "surface": ("home", "search")[number % 2], "dwell": number / 8,
             "clicked": number % 2} for number in range(40)]


def encode_csv(rows: Iterable[Row], columns: Iterable[str] = COLUMNS) -> bytes:
    """CSV with a header; None is an empty field, nested values are JSON."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_csv_field(row[name]) for name in columns] for row in rows)
    return text.getvalue().encode("utf-8", "surrogatepass")


def _csv_field(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list | dict | bool) else value


def encode_jsonl(rows: Iterable[Row]) -> bytes:
    """One JSON object a line."""
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def encode_parquet(rows: list[Row]) -> bytes:
    """Parquet; a column of mixed values becomes text."""
    columns = {name: _arrow([row[name] for row in rows]) for name in rows[0]}
    if all(isinstance(row.get("ts"), str) for row in rows):
        columns["ts"] = _times(rows)
    return parquet_bytes(pa.table(columns))


def parquet_bytes(table: pa.Table) -> bytes:
    """The file of an Arrow table, in row groups of 16."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer, row_group_size=16)
    return buffer.getvalue()


def _arrow(values: list[Any]) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError, UnicodeError):
        return pa.array([None if value is None else _text(value) for value in values], pa.string())


def _text(value: Any) -> str:
    text = json.dumps(value) if isinstance(value, list | dict) else str(value)
    return text.encode("utf-8", "replace").decode()


def _times(rows: list[Row]) -> pa.Array:
    try:
        return pa.array([datetime.datetime.fromisoformat(row["ts"]).replace(tzinfo=None) for row in rows])
    except ValueError:
        return _arrow([row["ts"] for row in rows])


def encode_avro(rows: list[Row], codec: str = "null") -> bytes:
    """Avro in which every column may have every type."""
    scalars = ["null", "boolean", "long", "double", "string", "bytes"]
    schema = {"type": "record", "name": "row", "fields": [
        {"name": name, "type": [*scalars, {"type": "array", "items": ["long", "string"]}]} for name in rows[0]]}
    buffer = io.BytesIO()
    fastavro.writer(buffer, schema, [{name: _avro(value) for name, value in row.items()} for row in rows], codec=codec,
                    sync_interval=256)
    return buffer.getvalue()


def _avro(value: Any) -> Any:
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return value.encode("utf-8", "surrogatepass")  # bytes that are not UTF-8
    if isinstance(value, int) and not isinstance(value, bool) and not -2**63 <= value < 2**63:
        return str(value)
    return json.dumps(value) if isinstance(value, dict) or value == [[[["deep"]]]] else value


ENCODERS: dict[str, Callable[[list[Row]], bytes]] = {
    "csv": encode_csv, "jsonl": encode_jsonl, "parquet": encode_parquet, "avro": encode_avro}
Change = Callable[[random.Random, str], Table]


def wrong_values(chance: random.Random, form: str) -> Table:
    """Up to four values of other types, sizes or alphabets."""
    rows, touched = good_rows(), set()
    for _ in range(chance.randint(1, 4)):
        position = chance.randrange(len(rows))
        rows[position][chance.choice(COLUMNS)] = chance.choice(VALUES)
        touched.add(position)
    # A value of another type changes the type of a Parquet column.
    return Table(ENCODERS[form](rows), rows, touched, costs_rows_only=form != "parquet")


def repeated_rows(chance: random.Random, form: str) -> Table:
    """Rows that occur twice."""
    rows = good_rows()
    again = chance.sample(range(len(rows)), 3)
    return Table(ENCODERS[form]([*rows, *(rows[position] for position in again)]), [*rows, *(rows[p] for p in again)])


def bit_flips(chance: random.Random, form: str) -> Table:
    """One to eight flipped bits."""
    content = bytearray(ENCODERS[form](good_rows()))
    for _ in range(chance.randint(1, 8)):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    return Table(bytes(content), None, None)


def truncated(chance: random.Random, form: str) -> Table:
    """A file that ends too early, possibly empty."""
    content = ENCODERS[form](good_rows())
    return Table(content[:chance.choice((0, 1, chance.randrange(len(content))))], None, None)


def replaced_bytes(chance: random.Random, form: str) -> Table:
    """A run of bytes replaced by random ones, or by nothing."""
    content = ENCODERS[form](good_rows())
    start = chance.randrange(len(content))
    new = chance.choice((b"", chance.randbytes(chance.randint(1, 40)), b"\x00" * 8, b"\xff\xfe", b'"', b"\r"))
    return Table(content[:start] + new + content[start + chance.randint(0, 40):], None, None)


def missing_column(chance: random.Random, form: str) -> Table:
    """A column that no row has."""
    gone = chance.choice(COLUMNS)
    rows = [{name: value for name, value in row.items() if name != gone} for row in good_rows()]
    content = encode_csv(rows, [name for name in COLUMNS if name != gone]) if form == "csv" else ENCODERS[form](rows)
    return Table(content, rows, None)


def other_format(chance: random.Random, form: str) -> Table:
    """A file of another format under this format's name."""
    other = chance.choice([name for name in ENCODERS if name != form])
    return Table(ENCODERS[other](good_rows()), None, None)


def compressed(chance: random.Random, form: str) -> Table:
    """Compressed content under a name that says nothing of it."""
    return Table(gzip.compress(ENCODERS[form](good_rows())), None, None)


def encodings(chance: random.Random, form: str) -> Table:
    """Text in another encoding, with a byte order mark, or with other line ends."""
    content = ENCODERS[form](good_rows())
    text = content.decode()
    return chance.choice((
        lambda: Table(b"\xef\xbb\xbf" + content, good_rows()),
        lambda: Table(content.replace(b"\n", b"\r\n"), good_rows()),
        lambda: Table(content.replace(b"\n", b"\r"), None, None),
        lambda: Table(text.encode(chance.choice(("utf-16", "utf-16-le", "utf-32", "latin-1", "cp037"))), None, None),
        lambda: Table(content.rstrip(b"\n"), good_rows())))()


def broken_lines(chance: random.Random, form: str) -> Table:
    """Lines that are blank, cut, repeated, quoted wrongly, nested deeply or far too long."""
    rows = good_rows()
    lines = ENCODERS[form](rows).splitlines(keepends=True)
    first = 1 if form == "csv" else 0
    place = chance.randrange(first, len(lines))
    position, line = place - first, lines[place]
    new, more = chance.choice((
        (b"\n" + line, 0), (line[:len(line) // 2] + b"\n", 0), (b"{}\n" + line, 1), (b"[]\n" + line, 1),
        (line.rstrip(b"\n") + b",extra\n", 0), (b"null\n" + line, 1), (DEEP.encode() + b"\n" + line, 1),
        (line[:9] + b"\xff" + line[9:], 0), (b"9" * 100_000 + b"\n" + line, 1),
        (b'{"member": ' + DEEP.encode() + b"\n" + line, 1), (b'{"member": ' + b"9" * 100_000 + b"}\n" + line, 1)))
    lines[place] = new
    touched = {position, *range(len(rows), len(rows) + more)}
    # The first line of JSON lines says whether the file has this format at all.
    table = Table(b"".join(lines), [*rows, *({} for _ in range(more))], touched, costs_rows_only=place > 0)
    return table if b'"' not in new or form == "jsonl" else Table(table.content, None, None)


def broken_quotes(chance: random.Random, form: str) -> Table:
    """Quotes that do not close, or are in the middle of a field, in a row or in the header."""
    lines = ENCODERS[form](good_rows()).splitlines(keepends=True)
    place = chance.randrange(len(lines))
    cut = chance.randrange(len(lines[place]))
    lines[place] = lines[place][:cut] + chance.choice((b'"', b'""', b'"""', b"'", b"\\")) + lines[place][cut:]
    return Table(b"".join(lines), None, None)


def header(chance: random.Random, form: str) -> Table:
    """A header that is repeated, empty, missing, or names a column twice."""
    content = encode_csv(good_rows())
    line, _, rest = content.partition(b"\n")
    return Table(chance.choice((line, b"", b"\n", rest, line + b",member\n" + rest, b"\n" + content,
                                line.upper() + b"\n" + rest, b" " + content)), None, None)


def other_types(chance: random.Random, form: str) -> Table:
    """A Parquet column of another type, twice, or without values."""
    table = pq.read_table(io.BytesIO(encode_parquet(good_rows())))
    place = chance.randrange(len(COLUMNS))
    column = table.column(place)
    made = chance.choice((
        lambda: column.cast(pa.string()), lambda: column.cast(pa.large_string()), lambda: column.cast(pa.float64()),
        lambda: column.cast(pa.string()).dictionary_encode(), lambda: column.cast(pa.string()).cast(pa.binary()),
        lambda: pa.array([[value] for value in column.to_pylist()]),
        lambda: pa.array([{"a": value} for value in column.to_pylist()]),
        lambda: pa.nulls(len(column)), lambda: pa.nulls(len(column), column.type),
        lambda: column.cast(pa.decimal128(38, 2)), lambda: column.cast(pa.date32()), lambda: column.cast(pa.bool_()),
        lambda: column.cast(pa.uint64()), lambda: column.cast(pa.int8())))
    try:
        changed = table.set_column(place, COLUMNS[place], made())
    except pa.ArrowException:
        changed = table.append_column(COLUMNS[place], column)  # a name that occurs twice
    return Table(parquet_bytes(changed.slice(0, chance.choice((0, 1, 40)))), None, None)


ALL = (wrong_values, repeated_rows, bit_flips, truncated, replaced_bytes, missing_column, other_format, compressed)
TEXT = (encodings, broken_lines, broken_quotes)
CHANGES: dict[str, tuple[Change, ...]] = {
    "csv": (*ALL, *TEXT, header), "jsonl": (*ALL, *TEXT), "parquet": (*ALL, other_types), "avro": ALL}


def malformed(form: str, seed: int) -> tuple[str, Table]:
    """Return the name of a change and the table that it makes of a seed."""
    chance = random.Random(f"{form} {seed}")
    change = CHANGES[form][seed % len(CHANGES[form])]
    return change.__name__, change(chance, form)


def write(table: Table, folder: Path, form: str) -> Path:
    """Write the table as ``impressions.<format>``."""
    path = folder / f"impressions.{form}"
    path.write_bytes(table.content)
    return path
