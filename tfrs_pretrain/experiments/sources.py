"""The logs that an experiment starts from: made here, or given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tfrs_pretrain.artifacts import DATASET_INFO, file_digest, json_digest
from tfrs_pretrain.config import Config
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.experiments.definition import CompleteJourneyLogs, Experiment, GivenLogs, PlantedLogs
from tfrs_pretrain.experiments.logs.kuairand import FILES
from tfrs_pretrain.experiments.pieces import LOGS, Piece


def check_data(experiment: Experiment, data: Path | None) -> None:
    """Checks that there is a folder where the logs are given, and none where they are made.

    Raises:
      UserError: otherwise.
    """
    source = experiment.logs.source
    if isinstance(experiment.logs, GivenLogs) != (data is not None):
        raise UserError(f"the experiment's logs are {source!r}: " + (
            "name their folder with --data" if data is None else "they are made here, leave --data away"))
    if data is not None and not data.is_dir():
        raise UserError(f"--data {str(data)!r} is no folder")


def logs_piece(experiment: Experiment, config: Config, data: Path | None) -> Piece | None:
    """The logs to make; None where raw logs or a dataset are given."""
    logs = experiment.logs
    task: dict[str, Any] = {"source": logs.source}
    if isinstance(logs, CompleteJourneyLogs):
        task |= {"completejourney": logs.model_dump(mode="json", exclude={"source"}), "seed": config.seed,
                 "pretrain_end_week": config.windows.pretrain.bounds[1]}
    elif isinstance(logs, PlantedLogs):
        task |= {"sizes": logs.model_dump(exclude={"source"}), "seed": config.seed}
    elif logs.source == "kuairand":
        assert data is not None  # see check_data
        return Piece.of(LOGS, logs.source, {**task, "data": fingerprint(logs.source, data)},
                        {**task, "data": str(data.resolve())})
    else:
        return None
    return Piece.of(LOGS, logs.source, task, task)


def fingerprint(source: str, data: Path) -> str:
    """Changes where the given data does: a dataset's own digest, or names, sizes and times of the files.

    Raises:
      UserError: a dataset is unfinished.
    """
    if source == "dataset":
        if not (data / DATASET_INFO).is_file():
            raise UserError(f"--data {str(data)!r} has no {DATASET_INFO}, so it is no finished dataset: name the "
                            "folder that `tfrs-pretrain dataset` wrote")
        return file_digest(data / DATASET_INFO)
    files = [data / name for name in FILES] if source == "kuairand" else sorted(data.rglob("*"))
    return json_digest([[str(path.relative_to(data)), path.stat().st_size, path.stat().st_mtime_ns]
                        for path in files if path.is_file()])
