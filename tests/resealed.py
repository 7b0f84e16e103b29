"""Artifacts that tests change: the manifest gets the digests of the changed content, as if it had been written so."""

import json
from pathlib import Path
from typing import Any

from tfrs_pretrain.artifact_names import DATASET_INFO, EXTRA_ASSETS, MANIFEST
from tfrs_pretrain.artifacts import write_manifest
from tfrs_pretrain.json_documents import document_text, without_digest


def rewrite(path: Path, content: dict[str, Any]) -> None:
    """Writes a JSON document with the digest of its content."""
    path.write_text(document_text(content))


def reseal(folder: Path) -> None:
    """Writes the manifest of an artifact again, with the digests of its present files."""
    name = DATASET_INFO if (folder / DATASET_INFO).is_file() else MANIFEST
    content = without_digest(json.loads((folder / name).read_text()))
    write_manifest(folder, content["kind"], content, name=name)


def reseal_version(folder: Path) -> None:
    """Does so with the manifest of an exported version."""
    content = without_digest(json.loads((folder / EXTRA_ASSETS / MANIFEST).read_text()))
    write_manifest(folder / EXTRA_ASSETS, content["kind"], content, root=folder)


def older_version(path: Path) -> None:
    """Removes all digests from a manifest, as version 0.1 wrote it."""
    content = without_digest(json.loads(path.read_text()))
    path.write_text(json.dumps({key: value for key, value in content.items() if key != "files"}))
