"""Figures in pages: the blocks that are marked with ``<!-- figures: NAME -->``, and the numbers in them."""

from __future__ import annotations

import re
from collections.abc import Iterator

MARK = re.compile(r"^<!-- figures: (\w+) -->\n\n((?:.+\n)+)", re.MULTILINE)
NUMBER = re.compile(r"(?<![\w.@])[−+]?(?:\d[\d,]*(?:\.\d+)?|\.\d+)")
NO_FIGURE = re.compile(
    r"```.*?^```|`[^`\n]*`|\[doi [^\]]*\]\([^)]*\)|\]\([^)]*\)|<!--.*?-->|<svg.*?</svg>|"
    r"Python 3\.\d+ to\s3\.\d+|Apache-2\.0",
    re.MULTILINE | re.DOTALL)


def blocks(page: str) -> dict[str, str]:
    """Name of the recorded figures -> the table or paragraph that shows them."""
    return dict(MARK.findall(page))


def numbers(text: str) -> list[str]:
    """Numbers as they are written, without those in code and links."""
    return NUMBER.findall(NO_FIGURE.sub(" ", text))


def shown(block: str) -> dict[str, list[str]]:
    """Row label -> numbers of a table's row; a paragraph's numbers are those of ``text``."""
    if not block.startswith("|"):
        return {"text": numbers(block)}
    rows = (row.strip("|\n ").partition(" | ") for row in block.splitlines()[2:])
    return {label.strip(): numbers(cells) for label, _, cells in rows}


def agrees(written: str, value: float) -> bool:
    """Whether a number as written is a value, rounded to the written decimals."""
    decimals = len(written.partition(".")[2])
    return abs(float(written.replace("−", "-").replace(",", "")) - value) <= 0.5 * 10**-decimals * 1.000001


def unmarked_decimals(page: str) -> Iterator[str]:
    """Decimal fractions outside marked blocks."""
    yield from (number for number in numbers(MARK.sub("", page)) if "." in number)
