"""The secret that an update must contain."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tfrs_pretrain.errors import UserError

MIN_SECRET_BYTES = 32


def read_key(path: Path) -> bytes:
    """Reads a secret and returns the 32 bytes that updates contain.

    Raises:
      UserError: the file is missing or too short.
    """
    try:
        secret = path.read_bytes().strip()
    except OSError as error:
        raise UserError(f"push secret {str(path)!r} cannot be read ({error.strerror}): create it with `openssl rand "
                        "-hex 32`, readable by its owner only") from error
    if len(secret) < MIN_SECRET_BYTES:
        raise UserError(f"push secret {str(path)!r} has {len(secret)} bytes, expected at least {MIN_SECRET_BYTES}: "
                        "create it with `openssl rand -hex 32`")
    return hashlib.sha256(secret).digest()
