"""Console output of ``tfrs-pretrain query``."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text


def show(verb: str, answer: Any, console: Console) -> None:
    """Prints an answer of ``query`` as a table; candidates are sorted by descending score."""
    console.print(_metadata_table(answer) if verb == "metadata" else _values_table(_table_rows(verb, answer)))


def _metadata_table(answer: Any) -> Table:
    table = Table("signature", "input or output", "dtype and shape", title=f"version {answer['version']}",
                  title_justify="left")
    for name, signature in answer["signatures"].items():
        for side in ("inputs", "outputs"):
            for tensor, spec in signature[side].items():
                table.add_row(name, Text(f"{tensor} ({side[:-1]})"), Text(spec))
    return table


def _table_rows(verb: str, answer: Any) -> list[dict[str, Any]]:
    rows = answer if isinstance(answer, list) else [
        dict(zip(answer, values, strict=True)) for values in zip(*answer.values(), strict=True)]
    return sorted(rows, key=lambda row: -row["score"]) if verb == "rank" else rows


def _values_table(rows: list[dict[str, Any]]) -> Table:
    table = Table(*(rows[0] if rows else ["nothing"]))
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row.values()))
    return table


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6f}"
    if isinstance(value, list):
        return "[" + ", ".join(f"{number:.4f}" for number in value[:6]) + (", …]" if len(value) > 6 else "]")
    return str(value)
