"""Count evaluations on the test impressions: each evaluated setting is one more chance of a lucky result."""

from __future__ import annotations

from pathlib import Path

from tfrs_pretrain.artifacts import read_optional_json, write_text
from tfrs_pretrain.json_documents import document_text

FILE = "test_evaluations.json"


class EvaluationLedger:
    """Settings of each arm that any command ever evaluated on test in an output folder.

    Args:
      root: output folder of the experiment.

    Raises:
      UserError: ``test_evaluations.json`` is damaged.
    """

    def __init__(self, root: Path):
        self._path = root / FILE
        self._evaluated: dict[str, list[str]] = read_optional_json(self._path)

    def add(self, arm: str, settings_digest: str) -> None:
        """Record settings before their evaluation, so that an interrupted evaluation counts."""
        digests = self._evaluated.setdefault(arm, [])
        if settings_digest not in digests:
            digests.append(settings_digest)
            write_text(self._path, document_text(self._evaluated))

    def count(self, arm: str) -> int:
        """Return the number of evaluated settings of an arm."""
        return len(self._evaluated.get(arm, []))
