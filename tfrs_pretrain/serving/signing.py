"""Signatures over the files of a folder, in the format of the OpenSSF Model Signing specification (extra ``signing``).

``model.sig`` is a Sigstore bundle with the SHA-256 of every other file, signed with an elliptic-curve key. No network
is needed. The digests in manifests detect damage; a signature detects forgery.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tfrs_pretrain.artifacts import write_text
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.extras import require
from tfrs_pretrain.serving.signing_keys import key_id, public_half

SIGNATURE = "model.sig"


class Signer:
    """Signs folders with a private key.

    Args:
      key: PEM file of a private key of the curve P-256, P-384 or P-521, without a password.

    Raises:
      UserError: the file is no such key.
    """

    def __init__(self, key: Path):
        require("a signature", "signing")
        self._key = key
        self._public = public_half(key)

    def sign(self, folder: Path, name: str) -> None:
        """Writes ``model.sig``; an earlier one is replaced.

        Args:
          folder: a complete folder.
          name: the signature's name of it, such as ``shop_ranker/3``; it is not compared.
        """
        from model_signing import signing

        with tempfile.TemporaryDirectory() as elsewhere:  # not in the folder, whose files are read
            path = Path(elsewhere) / SIGNATURE
            signing.Config().set_hashing_config(_hashing(name)).use_elliptic_key_signer(
                private_key=self._key).sign(folder.resolve(), path)
            write_text(folder / SIGNATURE, path.read_text())

    def ensure(self, folder: Path, name: str) -> None:
        """Signs a folder unless it has a valid signature by this key."""
        try:
            self.check(folder)
        except UserError:
            self.sign(folder, name)

    def check(self, folder: Path) -> None:
        """Compares a folder with its signature, which must be by this key.

        Raises:
          UserError: see ``check_signature``.
        """
        with tempfile.TemporaryDirectory() as elsewhere:
            public = Path(elsewhere) / "public.pem"
            public.write_bytes(self._public)
            check_signature(folder, public, f"the public half of {str(self._key)!r}")


def check_signature(folder: Path, public_key: Path, key_name: str = "") -> None:
    """Compares a folder with its signature.

    Args:
      folder: the folder.
      public_key: PEM file of the public key that must have signed it.
      key_name: its name for messages.

    Raises:
      UserError: the key is not usable, or the signature is missing, is by another key, is broken, or a file was
        changed, added or removed.
    """
    require("--public-key", "signing")
    from model_signing import verifying

    path, expected = folder / SIGNATURE, key_id(public_key)
    if not path.is_file():
        raise UserError(f"{str(folder)!r} is not signed (it has no {SIGNATURE}): sign it with `tfrs-pretrain sign` if "
                        "it is yours, or restore a signed copy")
    found = _signer_of(path)
    if found != expected:
        name = key_name or repr(str(public_key))
        raise UserError(f"{str(folder)!r} is signed with another key ({found[:12]}) than {name} ({expected[:12]}): "
                        "pass the public key of its signer if you trust it, or do not use it")
    try:
        verifying.Config().set_hashing_config(_hashing()).use_elliptic_key_verifier(public_key=public_key).verify(
            folder.resolve(), path)
    except Exception as error:  # the file may have been forged to raise anything
        reason = " ".join(str(error).replace("\\", "").split()) or type(error).__name__
        raise UserError(f"{str(folder)!r} differs from what was signed ({reason.partition(': Expected')[0][:300]}): do "
                        "not use it, restore a signed copy") from error


def check_signatures(folders: Iterable[Path], public_key: Path | None) -> None:
    """Compares folders with their signatures; None as key checks nothing.

    Raises:
      UserError: see ``check_signature``.
    """
    for folder in folders if public_key else ():
        assert public_key
        check_signature(folder, public_key)


def with_deltas(version: Path) -> Iterator[Path]:
    """Yields the folder of a version, then those of its deltas."""
    version = version.resolve()
    yield version
    deltas = version.with_name(f"{version.name}.deltas")
    yield from sorted(path for path in deltas.glob("[!.]*") if path.is_dir())


def _hashing(name: str = "") -> Any:
    """Digests of all files but the signature; the library would leave out files of git, too."""
    from model_signing import hashing

    class Named(hashing.Config):
        def hash(self, *arguments: Any, **options: Any) -> Any:
            found = super().hash(*arguments, **options)
            found._name = name or found._name  # else that of a temporary folder
            return found

    return Named().use_file_serialization().set_ignored_paths(paths=[SIGNATURE], ignore_git_paths=False)


def _signer_of(signature: Path) -> str:
    """The ``key_id`` that a signature names."""
    try:
        return str(json.loads(signature.read_text())["verificationMaterial"]["publicKey"]["hint"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{str(signature)!r} is no readable signature ({type(error).__name__}): do not use the folder, "
                        "restore a signed copy") from error
