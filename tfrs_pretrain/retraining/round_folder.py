"""The folder of one round of training, and the round that it starts from::

    <rounds>/<end of the test window>/round.json      windows, and the name of the round before; written first
    <rounds>/<end of the test window>/dataset, embeddings, ranker, export
"""

from __future__ import annotations

import dataclasses
import datetime
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tfrs_pretrain.artifact_names import RANKER_KIND
from tfrs_pretrain.artifacts import has_manifest, read_manifest, read_optional_json, write_text
from tfrs_pretrain.config import Config
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.json_documents import document_text
from tfrs_pretrain.names import check_folder_name
from tfrs_pretrain.output_folders import inside

RECORD = "round.json"
DATASET, EMBEDDINGS, RANKER, EXPORT = "dataset", "embeddings", "ranker", "export"
POLL_SECONDS = 2.0
NO_ROUND = "none"  # value of --previous for a round that starts from nothing


@dataclasses.dataclass(frozen=True)
class RoundFolder:
    """A round.

    Attributes:
      folder: its folder.
      config: its configuration, with its windows.
      previous: the round that it starts from; None: it starts from nothing.
    """

    folder: Path
    config: Config
    previous: RoundFolder | None = None

    @property
    def dataset(self) -> Path:
        return self.folder / DATASET

    @property
    def embeddings(self) -> Path:
        return self.folder / EMBEDDINGS

    @property
    def ranker(self) -> Path:
        return self.folder / RANKER

    @property
    def export(self) -> Path:
        """Record of the exported version."""
        return self.folder / EXPORT


def open_round(rounds: Path, config: Config, previous: str | None = None) -> RoundFolder:
    """Open the round of a configuration's windows; the first call decides which round it starts from.

    Args:
      rounds: folder of all rounds of this model.
      config: its test window names the round.
      previous: name of the round to start from, or ``NO_ROUND``; None: the newest one that ended earlier and has a
        finished ranker.

    Raises:
      UserError: the round started from another one before, or the named one has no finished ranker.
    """
    folder = inside(rounds, round_name(config))
    stored = read_optional_json(folder / RECORD)
    if not stored:
        stored = _describe(rounds, config, previous)
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / RECORD, document_text(stored))
    _check_record(folder, stored, config, previous)
    earlier = RoundFolder(inside(rounds, stored["previous"]), config) if stored["previous"] else None
    return RoundFolder(folder, config, earlier)


def join_round(rounds: Path, config: Config) -> RoundFolder:
    """Open the round that the first worker opens in a folder that all workers share; waits for it."""
    record = inside(rounds, round_name(config)) / RECORD
    while not record.is_file():
        time.sleep(POLL_SECONDS)
    return open_round(rounds, config)


def round_name(config: Config) -> str:
    """Name of a round: the end of its test window, such as 2024-03-31 or 2024-03-31T120000."""
    end = config.windows.test.end
    if not isinstance(end, datetime.datetime):
        return check_folder_name(str(end))
    return end.strftime("%Y-%m-%dT%H%M%S").removesuffix("T000000")


def finished_rounds(rounds: Path) -> Iterator[tuple[int, Path]]:
    """Yield (end of the test window as an integer, folder) of the rounds with a finished ranker."""
    for path in sorted(rounds.glob(f"*/{RECORD}")):
        if has_manifest(path.parent / RANKER):
            yield read_optional_json(path)["end"], path.parent


def _describe(rounds: Path, config: Config, previous: str | None) -> dict[str, Any]:
    end = config.windows.test.bounds[1]
    if previous is None:
        earlier = [found for found in finished_rounds(rounds) if found[0] < end]
        name = max(earlier)[1].name if earlier else None
    elif previous == NO_ROUND:
        name = None
    else:
        name = previous
        read_manifest(inside(rounds, name, RANKER), RANKER_KIND)
    return {"end": end, "previous": name, "windows": config.windows.model_dump(mode="json")}


def _check_record(folder: Path, stored: dict[str, Any], config: Config, previous: str | None) -> None:
    windows = config.windows.model_dump(mode="json")
    if stored["windows"] != windows:
        raise UserError(f"round {str(folder)!r} was begun with windows {stored['windows']}, now they are {windows}: "
                        "use the same configuration, or another --rounds")
    started = stored["previous"] or NO_ROUND
    if previous not in (None, started):
        raise UserError(f"round {str(folder)!r} was begun from round {started!r}, not {previous!r}: omit --previous, "
                        "or remove the folder")
