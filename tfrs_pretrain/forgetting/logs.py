"""Raw logs that the product wrote itself: those of the demo and of experiments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.forgetting.artifact import Leak, Removed
from tfrs_pretrain.forgetting.ids import ForgottenIds
from tfrs_pretrain.forgetting.parquet_rows import drop_rows, read_table


def erase(folder: Path, manifest: dict[str, Any], ids: ForgottenIds) -> Removed:
    """Removes the rows of the ids from all tables of a copied folder.

    Raises:
      UserError: no dataset says which column has the ids.
    """
    if not ids.columns:
        raise UserError(f"logs: no dataset among the folders says which column has the ids of {ids.space!r}: also name "
                        "the dataset that was built from these logs")
    return +Removed({"rows of logs": sum(drop_rows(path, lambda table: _with_ids(table, ids))
                                         for path in sorted(folder.glob("*.parquet")))})


def leaks(folder: Path, manifest: Mapping[str, Any], ids: ForgottenIds) -> Iterator[Leak]:
    """Finds rows of the ids."""
    for path in sorted(folder.glob("*.parquet")):
        if count := int(_with_ids(read_table(path), ids).sum()):
            yield Leak(path, f"{count} rows of ids")


def _with_ids(table: pa.Table, ids: ForgottenIds) -> np.ndarray:
    found = np.zeros(table.num_rows, bool)
    for name in ids.columns.intersection(table.column_names):
        found |= ids.contains(table[name])
    return found
