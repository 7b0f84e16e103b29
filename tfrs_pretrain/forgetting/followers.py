"""Artifacts that were made before an earlier run removed ids, and that it did not change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tfrs_pretrain.forgetting.artifact import Artifact
from tfrs_pretrain.forgetting.requoting import OWN, quotable

VOCABULARY = "vocabulary."


def followers(artifacts: Sequence[Artifact]) -> frozenset[Path]:
    """Returns the folders of artifacts that quote an earlier state of a changed artifact, directly or through others.

    The digest of a vocabulary does not tell: an id that has come back may have got its old row, and with it the
    vocabulary its old digest.

    Args:
      artifacts: each after those that it quotes.
    """
    states = [_states(artifact) for artifact in artifacts]
    present = {digest for state in states for digest in state.values()}
    outdated: set[str] = set()
    found = set()
    for artifact, state in zip(artifacts, states, strict=True):
        quoted = {text for key, value in artifact.manifest.items() if key not in OWN for text in _texts(value)}
        if quoted & outdated:
            found.add(artifact.folder)
            outdated |= set(state.values())
        outdated |= {digest for entry in artifact.earlier for name, digest in entry["digests"].items()
                     if not name.startswith(VOCABULARY)} - present
    return frozenset(found)


def _states(artifact: Artifact) -> dict[str, str]:
    return {name: digest for name, digest in quotable(artifact).items() if not name.startswith(VOCABULARY)}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)
