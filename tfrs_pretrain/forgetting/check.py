"""Proof of absence: a comparison of values where formats have ids, and a search of bytes in every file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from tfrs_pretrain.forgetting.artifact import Leak
from tfrs_pretrain.forgetting.discovery import Found, all_files
from tfrs_pretrain.forgetting.encodings import ByteSearch, encodings
from tfrs_pretrain.forgetting.file_contents import contents
from tfrs_pretrain.forgetting.ids import ForgottenIds
from tfrs_pretrain.forgetting.kinds import KINDS
from tfrs_pretrain.forgetting.rejected import rejected_leaks


def find_leaks(found: Found, ids: ForgottenIds) -> list[Leak]:
    """Finds the ids in all files of some folders."""
    leaks: list[Leak] = []
    for artifact in found.artifacts:
        leaks += KINDS[artifact.kind].leaks(artifact.folder, artifact.manifest, ids.of_artifact(artifact.folder))
    for folder in found.rejected:
        leaks += rejected_leaks(folder, ids)
    search = ByteSearch(encodings(ids.ids))
    for path in _files(found):
        leaks += _search(path, search)
    return leaks


def _files(found: Found) -> Iterable[Path]:
    paths = [path for artifact in found.artifacts for path in all_files(artifact)]
    paths += [path for folder in found.rejected for path in folder.glob("*.parquet")]
    return dict.fromkeys([*paths, *found.loose])


def _search(path: Path, search: ByteSearch) -> Iterator[Leak]:
    occurrences: Counter[tuple[str, str]] = Counter()
    for place, data in contents(path):
        occurrences.update((place, encoding.name) for _, encoding in search.find(data))
    for (place, name), count in sorted(occurrences.items()):
        yield Leak(path, f"{count} times as {name}{f' in {place}' if place else ''}")
