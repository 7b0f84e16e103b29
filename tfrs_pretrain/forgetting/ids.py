"""The ids to forget: reading them from a file."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.value_types import ARROW_TYPES, MISSING

SPACES = ("user", "item")
FORMATS = (".txt", ".csv", ".parquet")


@dataclasses.dataclass(frozen=True)
class Freed:
    """Rows of a vocabulary that belong to no id any more.

    Attributes:
      rows: int64 [n], ascending.
      num_rows: number of rows of the vocabulary.
      oov_rows: number of its shared rows.
    """

    rows: np.ndarray
    num_rows: int
    oov_rows: int


@dataclasses.dataclass(frozen=True)
class ForgottenIds:
    """Ids of one space, and what is known about their rows.

    Attributes:
      space: "user" or "item".
      ids: Arrow array [n], unique, of the type of the space.
      columns: columns of raw logs that contain ids of the space.
      freed: digest of a vocabulary -> the rows that it loses, or has lost by an earlier run.
      datasets: digest of the manifest of a dataset, before or after the change -> digest of its vocabulary.
      features: names of features, whose tables are not those of an ID space.
      present: digest of a vocabulary that an artifact has now -> the rows that this artifact loses or has lost.
      followers: folders of artifacts that an earlier run should have changed, but did not see or reach.
    """

    space: str
    ids: pa.Array
    columns: frozenset[str] = frozenset()
    freed: Mapping[str, Freed] = dataclasses.field(default_factory=dict)
    datasets: Mapping[str, str] = dataclasses.field(default_factory=dict)
    features: frozenset[str] = frozenset()
    present: Mapping[str, Freed] = dataclasses.field(default_factory=dict)
    followers: frozenset[Path] = frozenset()

    @property
    def column(self) -> str:
        """Name of the raw id in records, predictions and requests."""
        return f"{self.space}_id"

    @property
    def texts(self) -> frozenset[str]:
        """The ids as text."""
        return frozenset(map(str, self.ids.to_pylist()))

    def contains(self, values: pa.Array | pa.ChunkedArray) -> np.ndarray:
        """Returns bool [n]: which values are among the ids; values of another type are compared as text."""
        if pa.types.is_dictionary(values.type):
            values = values.cast(values.type.value_type)
        ids = self.ids
        if pa.types.is_large_string(values.type):
            ids = ids.cast(values.type)
        elif values.type != ids.type:
            values, ids = values.cast(pa.string()), ids.cast(pa.string())
        found = pc.is_in(values, value_set=ids)
        found = found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found
        return np.asarray(found.to_numpy(zero_copy_only=False), bool)

    def contains_keys(self, keys: np.ndarray) -> np.ndarray:
        """Returns bool [n]: which keys of a served lookup, int64 or bytes [n], are among the ids."""
        return self.contains(pa.array(keys) if keys.dtype != object else pa.array(keys, pa.binary()).cast(pa.string()))

    def of_artifact(self, folder: Path) -> ForgottenIds:
        """Returns the ids with the rows that an artifact loses: those of earlier runs only if it must follow them."""
        return self if folder in self.followers else dataclasses.replace(self, freed={**self.freed, **self.present})

    def freed_rows(self, digest: str) -> np.ndarray:
        """Returns the rows that a vocabulary loses, int64 [n]; empty for a vocabulary of another space."""
        return self.freed[digest].rows if digest in self.freed else np.empty(0, np.int64)


def read_ids(path: Path, dtype: str) -> pa.Array:
    """Reads ids from a text file (one a line), a CSV file or a Parquet file of one column.

    The first line of a CSV file is its header. Repeated ids count once.

    Args:
      path: the file.
      dtype: type of the ids, "int64" or "string".

    Returns:
      Arrow array [n] of that type, in the order of the file.

    Raises:
      UserError: the file cannot be read, has another format or several columns, contains no id, or an entry is no id.
    """
    if path.suffix not in FORMATS:
        raise UserError(f"ids {str(path)!r}: expected a file with one id a line ({FORMATS[0]}) or with one column "
                        f"({', '.join(FORMATS[1:])}): convert it to one of these")
    try:
        values = _parquet(path) if path.suffix == ".parquet" else _lines(path)
    except (OSError, UnicodeDecodeError, csv.Error, pa.ArrowException) as error:
        raise UserError(f"ids {str(path)!r} cannot be read ({' '.join(str(error).split())}): correct the path or write "
                        "the file again") from error
    ids = [_typed(path, number, value, dtype) for number, value in enumerate(values, start=1)]
    if not ids:
        raise UserError(f"ids {str(path)!r} contains no id: nothing is to be forgotten")
    return pa.array(list(dict.fromkeys(ids)), ARROW_TYPES[dtype])


def _parquet(path: Path) -> Sequence[object]:
    table = pq.read_table(path)
    if table.num_columns != 1:
        raise UserError(f"ids {str(path)!r} has columns {table.column_names}, expected one column of ids: select it")
    values: list[object] = table.column(0).to_pylist()
    return values


def _lines(path: Path) -> Sequence[object]:
    text = path.read_text(encoding="utf-8-sig")
    if path.suffix == ".txt":
        return [line for line in text.splitlines() if line]
    rows = [row for row in csv.reader(text.splitlines()) if row]
    if any(len(row) != 1 for row in rows):
        raise UserError(f"ids {str(path)!r} has lines of several columns, expected one column of ids: select it")
    return [row[0] for row in rows[1:]]


def _typed(path: Path, number: int, value: object, dtype: str) -> int | str:
    if dtype == "string":
        if isinstance(value, str) and value != MISSING["string"]:
            return value
    else:
        try:
            parsed = int(value) if isinstance(value, int | str) and not isinstance(value, bool) else None
        except ValueError:
            parsed = None
        if parsed is not None and -2**63 <= parsed < 2**63 and parsed != MISSING["int64"]:
            return parsed
    raise UserError(f"ids {str(path)!r}: entry {number} is {value!r}, expected an id of type {dtype} other than the "
                    f"missing value {MISSING[dtype]!r}: correct the file")
