"""Removal of ids from all artifacts in some folders."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tfrs_pretrain.artifact_names import DELTA_KIND, FORGOTTEN, SAVED_MODEL_KIND
from tfrs_pretrain.artifacts import manifest_text, read_manifest, write_text
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.file_digests import FILES, check_files
from tfrs_pretrain.forgetting.artifact import Artifact, Digests, Leak, Removed, changed_files, renew_files
from tfrs_pretrain.forgetting.check import find_leaks
from tfrs_pretrain.forgetting.discovery import Found, find_artifacts, has_files
from tfrs_pretrain.forgetting.ids import ForgottenIds
from tfrs_pretrain.forgetting.kinds import KINDS, STUDIES
from tfrs_pretrain.forgetting.rejected import erase_rejected
from tfrs_pretrain.forgetting.requoting import Renamed, quotable
from tfrs_pretrain.forgetting.resolve import count_without_row, resolve
from tfrs_pretrain.forgetting.staging import edited_folder, publish
from tfrs_pretrain.json_documents import json_digest
from tfrs_pretrain.locks import FolderLockedError, folder_lock
from tfrs_pretrain.names import SUFFIXES
from tfrs_pretrain.output_folders import refuse_existing
from tfrs_pretrain.serving.signing import SIGNATURE, Signer


@dataclasses.dataclass(frozen=True)
class Change:
    """What was removed from one artifact.

    Attributes:
      artifact: the artifact as it is now.
      removed: what -> number, in this run.
      files: path -> digests before and after, of the files that changed.
      before: digest of the manifest's content before.
      lost_signature: the artifact was signed and is not any more.
    """

    artifact: Artifact
    removed: Removed
    files: dict[str, Any]
    before: str
    lost_signature: bool = False

    @property
    def after(self) -> str:
        """Digest of the manifest's content now."""
        return json_digest(self.artifact.manifest)


@dataclasses.dataclass(frozen=True)
class Forgetting:
    """Result of a run.

    Attributes:
      ids: the ids.
      without_row: number of ids that had no row in any vocabulary when the run began.
      changes: one for each artifact.
      rejected: folder of rejected rows without an artifact -> number of removed rows.
      found: the artifacts and other files after the run.
      leaks: places that still contain an id.
    """

    ids: ForgottenIds
    without_row: int
    changes: list[Change]
    rejected: dict[Path, int]
    found: Found
    leaks: list[Leak]


def forget(space: str, ids_file: Path, folders: Sequence[Path], signer: Signer | None = None) -> Forgetting:
    """Removes ids from all artifacts in some folders; the same call continues a run that was killed.

    Each artifact is replaced as a whole, in one step. Nothing changes if a folder cannot be changed.

    Args:
      space: "user" or "item".
      ids_file: file with the ids, see ``read_ids``.
      folders: folders with artifacts.
      signer: signs the signed ones again that change; None: they lose their signatures.

    Raises:
      UserError: the ids cannot be read, an artifact is damaged, of an unknown kind, in use, or refers to one that is
        not among the folders; a signature is not valid, or not by the signer's key.
    """
    found = find_artifacts(folders)
    with _locked(found):
        for artifact in found.artifacts:
            refuse_existing(artifact.folder, overwrite=True)
            check_files(artifact.folder, artifact.manifest)
            if signer and _is_signed(artifact.folder):
                signer.check(artifact.folder)  # a forged artifact must not be signed
        ids = resolve(space, ids_file, found.artifacts)
        without_row = count_without_row(ids, found.artifacts)
        changes, renamed = list[Change](), Renamed()
        for artifact in found.artifacts:
            changes.append(_change(artifact, ids.of_artifact(artifact.folder), renamed, signer))
            renamed.add(changes[-1].artifact)
        rejected = {folder: _erase_rejected(folder, ids) for folder in found.rejected}
    # Not the folders that contained nothing but leftovers, which are removed.
    found, ids, leaks = check(space, ids_file, [folder for folder in folders if has_files(folder)])
    return Forgetting(ids, without_row, changes, rejected, found, leaks)


def check(space: str, ids_file: Path, folders: Sequence[Path]) -> tuple[Found, ForgottenIds, list[Leak]]:
    """Finds ids in all files of some folders; changes nothing but leftovers of killed writers, which it removes.

    Raises:
      UserError: as for ``forget``.
    """
    found = find_artifacts(folders)
    ids = resolve(space, ids_file, found.artifacts)
    return found, ids, find_leaks(found, ids)


@contextlib.contextmanager
def _locked(found: Found) -> Iterator[None]:
    """Keeps other processes from writing to the artifacts, and from training into the folders.

    Raises:
      UserError: another process does so.
    """
    checkpoints, _ = SUFFIXES
    beside = (artifact.folder.with_name(f"{artifact.folder.name}{checkpoints}") for artifact in found.artifacts)
    folders = [*(artifact.folder for artifact in found.artifacts), *(path for path in beside if path.is_dir())]
    with contextlib.ExitStack() as locks:
        for folder in dict.fromkeys([*folders, *found.runs]):
            try:
                locks.enter_context(folder_lock(folder, wait=False))
            except FolderLockedError as error:
                raise UserError(f"{str(folder)!r} is in use by another process, such as a training run: wait until it "
                                "has finished; nothing was changed") from error
        yield


def _is_signed(folder: Path) -> bool:
    return (folder / SIGNATURE).is_file()


def _renew_signature(stage: Path, target: Path, signer: Signer | None) -> bool:
    """Signs a changed copy of a signed folder, or removes its signature; returns whether it lost it."""
    if not _is_signed(stage):
        return False
    if signer:
        signer.sign(stage, f"{target.resolve().parent.name}/{target.resolve().name}")
    else:
        (stage / SIGNATURE).unlink()
    return signer is None


def _change(artifact: Artifact, ids: ForgottenIds, renamed: Renamed, signer: Signer | None) -> Change:
    """Removes the ids from one artifact, and writes it if anything changed."""
    if artifact.kind in STUDIES:
        return _change_document(artifact, renamed)
    before = quotable(artifact)
    with edited_folder(artifact.folder) as stage:
        erased = dict(artifact.manifest)  # with the digests before, by which rows are looked up
        removed = KINDS[artifact.kind].erase(stage, erased, ids)
        renamed.add_digests(before, KINDS[artifact.kind].digests(stage, erased))
        if artifact.kind in (SAVED_MODEL_KIND, DELTA_KIND):
            renamed.documents((stage / artifact.manifest_file).parent)
        manifest = renamed.content(erased)
        if not removed and manifest == artifact.manifest:
            return Change(artifact, removed, {}, before["content"])
        entry = {"digests": before, "rows": _lost(artifact, before, ids), "removed": dict(removed)}
        manifest[FORGOTTEN] = [*artifact.earlier, entry]
        if manifest.get(FILES) is not None:
            manifest[FILES] = renew_files(stage, artifact.folder, manifest[FILES])
        write_text(stage / artifact.manifest_file, manifest_text(artifact.kind, manifest))
        lost_signature = _renew_signature(stage, artifact.folder, signer)
        publish(stage, artifact.folder)
    return Change(_read_again(artifact), removed, changed_files(artifact.manifest, manifest), before["content"],
                  lost_signature)


def _lost(artifact: Artifact, before: Digests, ids: ForgottenIds) -> dict[str, list[int]]:
    if lost := KINDS[artifact.kind].lost:
        return lost(artifact.folder, artifact.manifest, ids)
    digest = before.get(f"vocabulary.{ids.space}")
    return {ids.space: ids.freed_rows(digest).tolist()} if digest else {}


def _change_document(artifact: Artifact, renamed: Renamed) -> Change:
    """Requotes digests in a manifest whose folder is not replaced."""
    before, manifest = quotable(artifact), renamed.content(artifact.manifest)
    if manifest == artifact.manifest:
        return Change(artifact, Removed(), {}, before["content"])
    manifest[FORGOTTEN] = [*artifact.earlier, {"digests": before, "rows": {}, "removed": {}}]
    write_text(artifact.folder / artifact.manifest_file, manifest_text(artifact.kind, manifest))
    return Change(_read_again(artifact), Removed(), {}, before["content"])


def _read_again(artifact: Artifact) -> Artifact:
    path = artifact.folder / artifact.manifest_file
    return dataclasses.replace(artifact, manifest=read_manifest(path.parent, artifact.kind, name=path.name))


def _erase_rejected(folder: Path, ids: ForgottenIds) -> int:
    with edited_folder(folder) as stage:
        count = erase_rejected(stage, ids)
        if count:
            publish(stage, folder)
    return count
