"""The chain of a version and its deltas, ``<version>/`` and ``<version>.deltas/000001/`` and so on."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfrs_pretrain.artifact_names import DELTA_KIND, FORGOTTEN
from tfrs_pretrain.artifacts import read_manifest
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.file_digests import check_files
from tfrs_pretrain.json_documents import json_digest
from tfrs_pretrain.serving.deltas.delta import Delta
from tfrs_pretrain.serving.deltas.state import ServedState, read_state
from tfrs_pretrain.serving.version_folder import read_version

NUMBER = re.compile(r"\d{6}")


@dataclasses.dataclass(frozen=True)
class Chain:
    """A base version and its deltas, complete and in order.

    Attributes:
      base: folder of the base version.
      manifest: its manifest.
      deltas: deltas, the first one first.
    """

    base: Path
    manifest: dict[str, Any]
    deltas: tuple[Delta, ...]

    @property
    def digest(self) -> str:
        """Digest of the last manifest: the predecessor of the next delta."""
        return self.deltas[-1].digest if self.deltas else json_digest(self.manifest)

    @property
    def report(self) -> dict[str, Any]:
        """Report of the last export, as JSON."""
        report: dict[str, Any] = self.deltas[-1].manifest["report"] if self.deltas else self.manifest
        return report

    def base_state(self) -> ServedState:
        """Reads the state of the base version."""
        return read_state(self.base, self.manifest)

    def state(self) -> ServedState:
        """Reads the state after all deltas and compares it with the one that the last delta was written for."""
        state = self.base_state()
        for delta in self.deltas:
            state = delta.apply(state)
        if self.deltas:
            self.deltas[-1].check_tables(state)
        return state


def deltas_folder(base: Path) -> Path:
    """Returns the folder of a version's deltas. TensorFlow Serving ignores it, as its name is no number."""
    return base.with_name(f"{base.name}.deltas")


def delta_name(number: int) -> str:
    """Returns the name of a delta's folder."""
    return f"{number:06d}"


def read_chain(base: Path) -> Chain:
    """Reads and checks all manifests of a chain, and all files that they list.

    Args:
      base: folder of the base version.

    Raises:
      UserError: the base or a delta is incomplete or damaged, a delta is missing, belongs to another base or follows
        another predecessor, was renamed, or the folder contains something else; the message names it.
    """
    manifest = read_version(base)
    chain = Chain(base, manifest, ())
    folder = deltas_folder(base)
    names = sorted(path.name for path in folder.iterdir() if not path.name.startswith(".")) if folder.is_dir() else []
    for expected, name in enumerate(names, 1):
        chain = dataclasses.replace(chain, deltas=(*chain.deltas, _next_delta(chain, folder / name, expected)))
    return chain


def _next_delta(chain: Chain, folder: Path, expected: int) -> Delta:
    if not NUMBER.fullmatch(folder.name):
        raise UserError(f"{str(folder)!r} is no delta, whose name would be six digits: move it elsewhere")
    if int(folder.name) != expected:
        raise UserError(f"delta {delta_name(expected)} of {str(chain.base)!r} is missing, {folder.name} is there: "
                        "restore it, or export a full version")
    manifest = read_manifest(folder, DELTA_KIND)
    _check_place(chain, folder, manifest)
    check_files(folder, manifest)
    return Delta(folder, manifest, json_digest(manifest))


def _check_place(chain: Chain, folder: Path, manifest: Mapping[str, Any]) -> None:
    base = json_digest(chain.manifest)
    if any(entry["digests"]["content"] == manifest["base"]["digest"] for entry in chain.manifest.get(FORGOTTEN, ())):
        raise UserError(f"delta {str(folder)!r} still contains ids that `tfrs-pretrain forget` has removed from its "
                        "base, because it was interrupted: run the same command again")
    if manifest["base"] != {"version": chain.manifest["version"], "digest": base}:
        raise UserError(f"delta {str(folder)!r} was written for version {manifest['base']['version']} with digest "
                        f"{manifest['base']['digest'][:12]}, the base is version {chain.manifest['version']} with "
                        f"{base[:12]}: remove the delta, or restore its base")
    if delta_name(manifest["number"]) != folder.name:
        raise UserError(f"{str(folder)!r} contains delta {delta_name(manifest['number'])}, it was renamed or copied: "
                        "restore the folders' names, or export a full version")
    if manifest["predecessor"] != chain.digest:
        raise UserError(f"delta {str(folder)!r} follows a predecessor with digest {manifest['predecessor'][:12]}, the "
                        f"one before it has {chain.digest[:12]}: it is left from another or an aborted run, remove it "
                        "and the deltas after it, and export again")
