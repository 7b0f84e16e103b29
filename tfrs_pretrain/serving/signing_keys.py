"""Elliptic-curve keys of signatures, as PEM files."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from tfrs_pretrain.errors import UserError

CURVES = ("secp256r1", "secp384r1", "secp521r1")  # of the OpenSSF Model Signing specification
ADVICE = ("create one with `openssl ecparam -name prime256v1 -genkey -noout -out release.key`, and its public half "
          "with `openssl ec -in release.key -pubout -out release.pub`")


def public_half(key: Path) -> bytes:
    """Returns the public half of a private key, as PEM.

    Raises:
      UserError: the file is no private key of a supported curve, or has a password.
    """
    from cryptography.hazmat.primitives import serialization

    try:
        private = serialization.load_pem_private_key(key.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{str(key)!r} is not the PEM file of a private key without password ({_line(error)}): {ADVICE}"
                        ) from error
    return _pem(key, private.public_key())


def key_id(public_key: Path) -> str:
    """Returns the SHA-256 of a public key's PEM text, by which a signature names its key.

    Raises:
      UserError: the file is no public key of a supported curve.
    """
    from cryptography.hazmat.primitives import serialization

    try:
        key = serialization.load_pem_public_key(public_key.read_bytes())
    except (OSError, ValueError) as error:
        raise UserError(f"{str(public_key)!r} is not the PEM file of a public key ({_line(error)}): {ADVICE}"
                        ) from error
    return hashlib.sha256(_pem(public_key, key)).hexdigest()


def _pem(path: Path, public: Any) -> bytes:
    from cryptography.hazmat.primitives import serialization

    curve = getattr(getattr(public, "curve", None), "name", type(public).__name__)
    if curve not in CURVES:
        raise UserError(f"the key in {str(path)!r} is of kind {curve}, expected the curve P-256, P-384 or P-521: "
                        f"{ADVICE}")
    pem: bytes = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return pem


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:100]
