"""How often the test impressions were looked at: each setting that is judged on them is one more chance to be lucky."""

from __future__ import annotations

import json
from pathlib import Path

from tfrs_pretrain.artifacts import read_notes, write_text

FILE = "test_looks.json"


class Ledger:
    """Arm -> the settings of it that were ever judged on test in an output folder, by any command.

    Args:
      root: the experiment's output.

    Raises:
      UserError: the file of an earlier command is damaged.
    """

    def __init__(self, root: Path):
        self._path = root / FILE
        self._looks: dict[str, list[str]] = read_notes(self._path)

    def add(self, arm: str, settings_digest: str) -> None:
        """Notes settings before they are judged: a look that was cut short is one, too."""
        looks = self._looks.setdefault(arm, [])
        if settings_digest not in looks:
            looks.append(settings_digest)
            write_text(self._path, json.dumps(self._looks, indent=2) + "\n")

    def count(self, arm: str) -> int:
        """Settings of an arm that were judged so far."""
        return len(self._looks.get(arm, []))
