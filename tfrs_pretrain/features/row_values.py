"""Raw values for rows: the inverse of a vocabulary, as far as there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from tfrs_pretrain.value_types import ARROW_TYPES

if TYPE_CHECKING:
    from tfrs_pretrain.vocabulary import Vocabulary


def values_of_rows(vocabulary: Vocabulary) -> pa.Array:
    """[rows]: a raw value that the vocabulary maps to each row; an invented one where the row is shared or free."""
    unknown = _unknown_values(vocabulary)
    return pa.concat_arrays([unknown, vocabulary.ids.fill_null(unknown[0])])


def _unknown_values(vocabulary: Vocabulary) -> pa.Array:
    """[oov_rows]: a value outside the vocabulary for each shared row."""
    found: dict[int, int | str] = {}
    start, block = 0, 16 * vocabulary.oov_rows + 64
    while len(found) < vocabulary.oov_rows:
        numbers = range(start, start + block)
        values = [-2 - number if vocabulary.dtype == "int64" else f"unseen {number}" for number in numbers]
        rows = vocabulary.lookup(pa.array(values, ARROW_TYPES[vocabulary.dtype]))
        for value, row in zip(values, rows.tolist(), strict=True):
            if row < vocabulary.oov_rows:
                found.setdefault(row, value)
        start += block
    return pa.array([found[row] for row in range(vocabulary.oov_rows)], vocabulary.ids.type)
