"""Independent seeds for different purposes, derived from one seed."""

from __future__ import annotations

import hashlib


def derive_seed(seed: int, *purpose: str) -> int:
    """Return a 31-bit seed that depends only on ``seed`` and the purpose, so a new purpose changes no other seed."""
    return int.from_bytes(hashlib.sha256("/".join([str(seed), *purpose]).encode()).digest()[:4], "big") >> 1
