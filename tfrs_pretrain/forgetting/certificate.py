"""The certificate: what was removed from each artifact, how absence was proven, and what cannot be known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tfrs_pretrain.artifacts import write_text
from tfrs_pretrain.forgetting.encodings import MIN_BYTES, MIN_DIGITS, encodings
from tfrs_pretrain.forgetting.run import Change, Forgetting
from tfrs_pretrain.json_documents import document_text
from tfrs_pretrain.version import __version__

VALUES_PROOF = "values: every place where the format has ids, or rows of ids, was decoded and compared"
NOT_KNOWN = (
    "raw logs and other inputs of the stages: a dataset that is built from them again contains the ids again",
    "a running server: it serves the version that it loaded until it is restarted or loads another one",
    "copies of the folders: backups, snapshots of the file system, other machines, blocks of deleted files on a disk",
    "folders that were not named, and files outside of artifacts in a format that only values could be found in",
    "hashes that combine an id with other values, such as keys of other events, and counts, metrics and curves",
    "dense weights, shared rows of unknown ids and centroids of an index, which may have learnt from the ids",
    "pairs and histories of an id that had no row: the records contain the number of a shared row only",
)


def certificate(result: Forgetting) -> dict[str, Any]:
    """Returns the certificate as JSON; it does not contain the ids."""
    return {
        "kind": "certificate of forgetting", "code_version": __version__, "space": result.ids.space,
        "ids": len(result.ids.ids), "ids_without_row": result.without_row,
        "artifacts": [_entry(change) for change in result.changes],
        "rejected_rows": {str(folder): count for folder, count in sorted(result.rejected.items())},
        "files_outside_of_artifacts": [str(path) for path in result.found.loose],
        "proofs": _proofs(result), "leaks": [{"file": str(leak.path), "place": leak.place} for leak in result.leaks],
        "absent": not result.leaks, "not_known": list(NOT_KNOWN)}


def write_certificate(result: Forgetting, path: Path) -> None:
    """Writes the certificate with a digest of its content."""
    write_text(path, document_text(certificate(result)))


def _entry(change: Change) -> dict[str, Any]:
    artifact = change.artifact
    earlier = artifact.earlier[:-1] if change.after != change.before else artifact.earlier
    return {"kind": artifact.kind, "folder": str(artifact.folder), "removed": dict(change.removed),
            "digest": {"before": change.before, "after": change.after}, "files": change.files,
            "removed_by_earlier_runs": [entry["removed"] for entry in earlier if entry["removed"]]}


def _proofs(result: Forgetting) -> dict[str, Any]:
    """Says by which proofs the ids are absent, and for how many ids each encoding was searched."""
    searched: dict[str, int] = {}
    for encoding in encodings(result.ids.ids):
        searched[encoding.name] = searched.get(encoding.name, 0) + 1
    return {"artifacts": VALUES_PROOF, "all files": {
        "searched": "bytes of all files, with compressed content decompressed, for encodings of at least "
                    f"{MIN_BYTES} significant bytes or {MIN_DIGITS} digits; shorter ones occur by accident",
        "ids_by_encoding": searched}}
