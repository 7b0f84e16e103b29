"""Rejected rows of logs, which contain raw values as text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tfrs_pretrain.forgetting.artifact import Leak
from tfrs_pretrain.forgetting.ids import ForgottenIds
from tfrs_pretrain.forgetting.parquet_rows import drop_rows, read_table

VALUES = "values"
PARTS = re.compile(r"[\s,;|\t\"']+")  # what separates the values of a line that could not be split into columns


def erase_rejected(folder: Path, ids: ForgottenIds) -> int:
    """Removes rejected rows that mention an id from all files of a folder; returns their number."""
    return sum(drop_rows(path, lambda table: mentions(table, ids)) for path in sorted(folder.glob("*.parquet")))


def rejected_leaks(folder: Path, ids: ForgottenIds) -> Iterator[Leak]:
    """Finds rejected rows that mention an id."""
    for path in sorted(folder.glob("*.parquet")):
        if count := int(mentions(read_table(path), ids).sum()):
            yield Leak(path, f"{count} rejected rows mention ids")


def mentions(table: pa.Table, ids: ForgottenIds) -> np.ndarray:
    """Returns bool [n]: rejected rows in which an id is the value of a column of its space.

    A row that is no JSON object, because its line could not be read, mentions an id if one of the parts of the line
    between separators equals it.
    """
    return np.array([_mentions(text or "", ids) for text in table[VALUES].to_pylist()], bool)


def _mentions(text: str, ids: ForgottenIds) -> bool:
    try:
        row = json.loads(text)
    except ValueError:
        row = None
    if not isinstance(row, dict):
        return text.strip() in ids.texts or not ids.texts.isdisjoint(PARTS.split(text))
    # A row of an unknown schema has no id column by name: any of its values may be the id.
    names = ids.columns & row.keys() or row.keys()
    return any(not ids.texts.isdisjoint(_texts(row[name])) for name in names)


def _texts(value: Any) -> set[str]:
    """Returns the texts that a value may be written as: 7, " 7", 7.0 and "7" are one id."""
    if isinstance(value, list):
        return {text for each in value for text in _texts(each)}
    text = str(value)
    return {text, text.strip(), re.sub(r"\.0+$", "", text.strip())}
