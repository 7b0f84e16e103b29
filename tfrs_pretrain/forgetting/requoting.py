"""Digests that manifests quote from one another: an artifact that changes gets new ones, and later artifacts follow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tfrs_pretrain.artifact_names import FORGOTTEN, MANIFEST
from tfrs_pretrain.artifacts import file_digest
from tfrs_pretrain.file_digests import FILES
from tfrs_pretrain.finished_outputs import RUN_DIGEST
from tfrs_pretrain.forgetting.artifact import MANIFEST_DIGEST, Artifact, Digests
from tfrs_pretrain.forgetting.kinds import KINDS
from tfrs_pretrain.forgetting.staging import new_file
from tfrs_pretrain.json_documents import DIGEST, document_text, json_digest, parse_document

OWN = (FILES, FORGOTTEN, RUN_DIGEST)  # keys that quote no other artifact


def quotable(artifact: Artifact) -> Digests:
    """Returns the digests by which later manifests quote an artifact."""
    return {MANIFEST_DIGEST: file_digest(artifact.folder / artifact.manifest_file),
            "content": json_digest(artifact.manifest),
            **KINDS[artifact.kind].digests(artifact.folder, artifact.manifest)}


class Renamed:
    """Digests of artifacts before a change -> their present digests.

    A digest that an artifact has now is not renamed, even if another artifact had it before an earlier change: of two
    copies of a vocabulary, only one may have been changed.
    """

    def __init__(self) -> None:
        self._present: dict[str, str] = {}

    def add(self, artifact: Artifact) -> None:
        """Adds all digests that an artifact had before it was changed, in this run or an earlier one."""
        present = quotable(artifact)
        for entry in artifact.earlier:
            for name, digest in entry["digests"].items():
                if name in present and present[name] != digest and self._present.get(digest) != digest:
                    self._present[digest] = present[name]

    def add_digests(self, before: Digests, after: Digests) -> None:
        """Adds digests of parts of an artifact before and after a change."""
        self._present |= {before[name]: digest for name, digest in after.items()}

    def content(self, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Returns a manifest with present digests."""
        return {key: value if key in OWN else self._value(value) for key, value in manifest.items()}

    def _value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._present.get(value, value)
        if isinstance(value, dict):
            return {key: self._value(each) for key, each in value.items()}
        return [self._value(each) for each in value] if isinstance(value, list) else value

    def text(self, text: str) -> str:
        """Returns a text with present digests."""
        for before, after in self._present.items():
            text = text.replace(before, after)
        return text

    def documents(self, folder: Path) -> None:
        """Requotes the manifests and cards in the folder of a copied manifest, except that manifest."""
        paths: Iterable[Path] = sorted(folder.glob("*"))
        for path in (path for path in paths if path.suffix in (".json", ".md") and path.name != MANIFEST):
            text = path.read_text()
            new = self.text(text)
            if new != text:
                if f'"{DIGEST}"' in text:
                    content = self.content(parse_document(text, path))
                    new = document_text(content, sort_keys=True)
                new_file(path).write_text(new)
