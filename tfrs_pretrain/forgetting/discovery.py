"""The artifacts below some folders, and the files that belong to none."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from tfrs_pretrain.artifact_names import DATASET_INFO, EXTRA_ASSETS, MANIFEST
from tfrs_pretrain.artifacts import read_manifest
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.forgetting.artifact import Artifact
from tfrs_pretrain.forgetting.kinds import KINDS, REFUSED, STUDIES
from tfrs_pretrain.json_documents import parse_document
from tfrs_pretrain.names import SUFFIXES
from tfrs_pretrain.output_folders import recover, refuse_remote, remove_leftovers

MANIFESTS = (MANIFEST, DATASET_INFO, *(KINDS[kind].manifest_name for kind in sorted(STUDIES)),
             f"{EXTRA_ASSETS}/{MANIFEST}")
BESIDE = (*SUFFIXES, ".rejected", ".deltas")  # of the folders that a stage keeps beside its output
LEFTOVER = re.compile(r"\.(?P<target>.+)\.(unfinished|replaced)-[0-9a-f]{8}")


@dataclasses.dataclass(frozen=True)
class Found:
    """What some folders contain.

    Attributes:
      artifacts: in the order in which they are changed.
      rejected: folders of rejected rows that belong to no artifact.
      loose: other files that belong to no artifact.
      runs: folders of checkpoints, which a training run locks.
    """

    artifacts: list[Artifact]
    rejected: list[Path]
    loose: list[Path]
    runs: list[Path]


def find_artifacts(folders: Iterable[Path]) -> Found:
    """Finds all artifacts in folders, and in the folders that stages keep beside them.

    Leftovers of killed writers are removed first.

    Raises:
      UserError: a folder is missing or contains nothing, or an artifact is damaged or of a kind that this version does
        not know.
    """
    found, seen = Found([], [], [], []), set[Path]()
    for folder in folders:
        refuse_remote(folder)
        recover(folder)
        if not _present(folder):
            raise UserError(f"folder {str(folder)!r} does not exist: correct the path")
        if not has_files(folder):
            raise UserError(f"folder {str(folder)!r} contains no file: name a folder that a stage wrote")
        for path in _present(folder):
            _remove_leftovers(path)
            _walk(path.resolve(), found, seen)
    found.artifacts.sort(key=lambda artifact: (KINDS[artifact.kind].order, str(artifact.folder)))
    return found


def has_files(folder: Path) -> bool:
    """Returns whether there is a file in a folder, or in those that stages keep beside it."""
    return any(path.is_file() for present in _present(folder) for path in present.rglob("*"))


def _present(folder: Path) -> list[Path]:
    return [*([folder] if folder.is_dir() else ()), *_beside(folder)]


def _beside(folder: Path) -> Iterator[Path]:
    paths = (folder.with_name(folder.resolve().name + suffix) for suffix in BESIDE)
    return (path for path in paths if path.is_dir())


def _remove_leftovers(folder: Path) -> None:
    """Removes what killed writers left beside a folder; one that is still written to stays."""
    remove_leftovers(folder)
    for hidden in folder.parent.glob(f".{folder.name}.unfinished-*"):
        raise UserError(f"another process is writing {str(folder)!r} (its unfinished output is {hidden.name}): wait "
                        "until it has finished")


def _walk(folder: Path, found: Found, seen: set[Path]) -> None:
    if folder in seen:
        return
    for hidden in sorted(path for path in folder.iterdir() if LEFTOVER.fullmatch(path.name)):
        match = LEFTOVER.fullmatch(hidden.name)
        assert match
        recover(folder / match["target"])
        _remove_leftovers(folder / match["target"])
    if folder.name.endswith(SUFFIXES):
        found.runs.append(folder)
    artifact = read_artifact(folder)
    if artifact:
        found.artifacts.append(artifact)
        seen.add(folder)
        if artifact.kind not in STUDIES:  # a study's folder contains the artifacts that it compares
            return
    is_rejected = _is_rejected(folder)
    if is_rejected:
        found.rejected.append(folder)
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            _walk(path, found, seen)
        elif not (artifact and path.name == artifact.manifest_file) and not (is_rejected and path.suffix == ".parquet"):
            found.loose.append(path)
            seen.add(path)
        else:
            seen.add(path)
    seen.add(folder)


def _is_rejected(folder: Path) -> bool:
    return (folder.name == "rejected" or folder.name.endswith(".rejected")) and any(folder.glob("*.parquet"))


def read_artifact(folder: Path) -> Artifact | None:
    """Reads the artifact whose folder this is; None if it has no manifest.

    Raises:
      UserError: the manifest is damaged or of a kind that this version does not know.
    """
    for name in MANIFESTS:
        path = folder / name
        if not path.is_file() or (name == MANIFEST and folder.name == EXTRA_ASSETS):
            continue
        kind = parse_document(path.read_bytes(), path).get("kind")
        if kind in REFUSED:
            raise UserError(f"ids cannot be removed from {kind} {str(folder)!r}: {REFUSED[kind]}")
        if kind not in KINDS:
            raise UserError(f"{str(folder)!r} is of kind {kind!r}, from which this version cannot remove ids (only "
                            f"from {', '.join(sorted(KINDS))}): use the version that wrote it, or remove the folder")
        return Artifact(folder, name, kind, read_manifest(path.parent, kind, name=path.name))
    return None


def all_files(artifact: Artifact) -> list[Path]:
    """Returns all files of an artifact, also those that its manifest does not list."""
    if artifact.kind in STUDIES:
        return [artifact.folder / artifact.manifest_file]
    return sorted(Path(folder, name) for folder, _, names in os.walk(artifact.folder) for name in names)
