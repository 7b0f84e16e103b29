"""Differences between two configurations as dotted keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def config_differences(base: Any, other: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield (dotted key, value of ``other``) where two JSON trees differ.

    Of two mappings with different ``kind``, only the keys of ``other`` are compared.
    """
    if isinstance(base, Mapping) and isinstance(other, Mapping):
        same_kind = base.get("kind") == other.get("kind")
        for key in sorted({*base, *other} if same_kind else other):
            yield from config_differences(base.get(key), other.get(key), f"{path}.{key}")
    elif base != other:
        yield path, other
