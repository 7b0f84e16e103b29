"""The secret that an update must contain, and what a model contains of it."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfrs_pretrain.errors import UserError

MIN_SECRET_BYTES = 32
TOKEN_BYTES = 16
SALT_BYTES = 16  # with a key of 32 bytes: the message of ``sha256``


@dataclasses.dataclass(frozen=True)
class KeyDigest:
    """Salted SHA-256 of a key: tells whether a key is the right one without containing it.

    Attributes:
      salt: random bytes before the key.
      digest: SHA-256 of salt and key.
    """

    salt: bytes
    digest: bytes

    @classmethod
    def of(cls, key: bytes) -> KeyDigest:
        """Hashes a key with a new salt."""
        salt = secrets.token_bytes(SALT_BYTES)
        return cls(salt, hashlib.sha256(salt + key).digest())

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> KeyDigest:
        """Reads what ``to_json`` returned."""
        return cls(bytes.fromhex(content["salt"]), bytes.fromhex(content["sha256"]))

    def to_json(self) -> dict[str, str]:
        """Returns JSON. The graph contains the same."""
        return {"salt": self.salt.hex(), "sha256": self.digest.hex()}

    def matches(self, key: bytes) -> bool:
        """Whether it is the digest of this key."""
        return hmac.compare_digest(hashlib.sha256(self.salt + key).digest(), self.digest)


def new_token() -> str:
    """Returns a random name for the state of a version before any update."""
    return secrets.token_hex(TOKEN_BYTES)


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
