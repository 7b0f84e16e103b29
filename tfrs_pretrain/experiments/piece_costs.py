"""Record the time and memory of pieces, to estimate the remaining time."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tfrs_pretrain.artifacts import read_optional_json, write_text
from tfrs_pretrain.experiments.pieces import Piece
from tfrs_pretrain.json_documents import document_text

FILE = "costs.json"


class PieceCosts:
    """Seconds and peak memory of the pieces of an output folder, stored in ``costs.json``.

    Args:
      root: output folder of the experiment.

    Raises:
      UserError: ``costs.json`` is damaged.

    Attributes:
      wall_seconds: wall-clock seconds of all commands together, each up to its last finished piece or
        ``record_wall_time``.
    """

    def __init__(self, root: Path):
        self._path = root / FILE
        content = read_optional_json(self._path)
        self._pieces: dict[str, dict[str, Any]] = content.get("pieces", {})
        self.wall_seconds: float = content.get("wall_seconds", 0.0)
        self._counted = time.monotonic()

    def add(self, piece: Piece, seconds: float, peak_rss_bytes: int) -> None:
        """Record a finished piece. Interrupted attempts are not counted."""
        self._pieces[piece.title] = {"kind": piece.kind, "work": piece.work, "seconds": seconds,
                                     "peak_rss_bytes": peak_rss_bytes}
        self._save()

    def seconds(self, pieces: Iterable[Piece]) -> float:
        """Return the recorded seconds of these pieces; pieces without a record count 0."""
        return float(sum(self._pieces[piece.title]["seconds"] for piece in pieces if piece.title in self._pieces))

    def peak_rss_bytes(self) -> int:
        """Return the peak memory of the largest process."""
        return max((int(entry["peak_rss_bytes"]) for entry in self._pieces.values()), default=0)

    def estimate(self, pieces: Iterable[Piece]) -> float | None:
        """Estimate the seconds of these pieces run one after another; None if a kind has no record yet."""
        total = 0.0
        for piece in pieces:
            known = [entry for entry in self._pieces.values() if entry["kind"] == piece.kind]
            if not known:
                return None
            total += piece.work * sum(entry["seconds"] for entry in known) / sum(entry["work"] for entry in known)
        return total

    def record_wall_time(self) -> None:
        """Count the time since the last finished piece too."""
        self._save()

    def _save(self) -> None:
        now = time.monotonic()
        self.wall_seconds, self._counted = self.wall_seconds + now - self._counted, now
        write_text(self._path, document_text({"pieces": self._pieces, "wall_seconds": self.wall_seconds}))
