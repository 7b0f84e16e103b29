"""An artifact that an id is removed from, and what was removed."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfrs_pretrain.artifact_names import FORGOTTEN, MANIFEST
from tfrs_pretrain.file_digests import FILES, describe_content
from tfrs_pretrain.forgetting.ids import ForgottenIds
from tfrs_pretrain.forgetting.staging import new_file
from tfrs_pretrain.vocabulary import Vocabulary

MANIFEST_DIGEST = "manifest"  # SHA-256 of a manifest's file, among the digests that later manifests quote
Removed = collections.Counter[str]
Digests = dict[str, str]  # name -> digest of an artifact that later manifests quote


@dataclasses.dataclass(frozen=True)
class Artifact:
    """A finished artifact.

    Attributes:
      folder: the folder that is replaced as a whole.
      manifest_file: path of the manifest in it.
      kind: kind of the manifest.
      manifest: its content.
    """

    folder: Path
    manifest_file: str
    kind: str
    manifest: dict[str, Any]

    @property
    def earlier(self) -> list[dict[str, Any]]:
        """Entries of earlier runs that removed ids."""
        return list(self.manifest.get(FORGOTTEN, ()))


@dataclasses.dataclass(frozen=True)
class Leak:
    """A place that still contains an id.

    Attributes:
      path: the file.
      place: description of the place in it.
    """

    path: Path
    place: str


def _no_vocabularies(folder: Path, manifest: Mapping[str, Any]) -> dict[str, Path]:
    return {}


def _no_digests(folder: Path, manifest: Mapping[str, Any]) -> Digests:
    return {}


@dataclasses.dataclass(frozen=True)
class Kind:
    """How ids are removed from one kind of artifact.

    Attributes:
      erase: removes the ids from a copied folder and updates its manifest, except for quoted digests and ``files``.
      leaks: finds the ids where the format has ids or rows of ids, independently of ``erase``.
      vocabularies: ID space -> vocabulary file of the artifact.
      digests: digests that later manifests quote, beside those of the manifest itself.
      lost: rows that the ids had, by ID space; None: those of the vocabulary of the artifact's digest.
      order: place among the kinds: an artifact is changed after those that it quotes.
      manifest_name: file name of the manifest.
    """

    erase: Callable[[Path, dict[str, Any], ForgottenIds], Removed]
    leaks: Callable[[Path, Mapping[str, Any], ForgottenIds], Iterator[Leak]]
    order: int
    vocabularies: Callable[[Path, Mapping[str, Any]], dict[str, Path]] = _no_vocabularies
    digests: Callable[[Path, Mapping[str, Any]], Digests] = _no_digests
    lost: Callable[[Path, Mapping[str, Any], ForgottenIds], dict[str, list[int]]] | None = None
    manifest_name: str = MANIFEST


def free_ids(path: Path, ids: ForgottenIds) -> tuple[Vocabulary, int]:
    """Frees the rows of the ids in a vocabulary file of a copied folder.

    Returns:
      The vocabulary, and the number of freed rows.
    """
    vocabulary = Vocabulary.load(path)
    rows = np.setdiff1d(ids.freed_rows(vocabulary.digest), vocabulary.free)
    if len(rows):
        vocabulary = vocabulary.with_freed(rows)
        vocabulary.save(new_file(path))
    return vocabulary, len(rows)


def renew_files(root: Path, original: Path, files: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the section ``files`` of a manifest for a copied folder; unchanged files are not read.

    Args:
      root: the copy.
      original: the folder that it was copied from.
      files: section of the original.
    """
    def described(name: str) -> Any:
        if (original / name).is_file() and (root / name).samefile(original / name):
            return files[name]
        with (root / name).open("rb", buffering=0) as file:
            return describe_content(file)

    return {name: described(name) for name in files if (root / name).is_file()}


def changed_files(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Returns path -> digests before and after, of the files whose digest changed."""
    old, new = (listed_files(manifest) for manifest in (before, after))
    return {name: {"before": old.get(name), "after": new.get(name)} for name in sorted({*old, *new})
            if old.get(name) != new.get(name)}


def listed_files(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Returns path -> CRC-32C of all files that a manifest lists, shards of a dataset included."""
    shards = {shard["path"]: shard["crc32c"] for split in manifest.get("splits", {}).values()
              if isinstance(split, dict) for shard in split.get("shards", ())}
    return shards | {name: entry["crc32c"] for name, entry in (manifest.get(FILES) or {}).items()}
