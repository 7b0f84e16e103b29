"""Logs of an experiment: generated, or provided with ``--data``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tfrs_pretrain.artifact_names import DATASET_INFO
from tfrs_pretrain.artifacts import file_digest, has_manifest
from tfrs_pretrain.config import Config
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.experiments.definition import (
    CompleteJourneyLogs,
    Experiment,
    PlantedLogs,
    ProvidedLogs,
    RegimeLogs,
)
from tfrs_pretrain.experiments.logs import gowalla, kuairand
from tfrs_pretrain.experiments.pieces import LOGS, Piece
from tfrs_pretrain.json_documents import json_digest

CONVERTED = {"kuairand": kuairand.FILES, "gowalla": gowalla.FILES}  # source of a provided log -> files that are read


def check_data(experiment: Experiment, data: Path | None) -> None:
    """Check that ``--data`` is given for provided logs only.

    Raises:
      UserError: it is missing, superfluous, or no folder.
    """
    source = experiment.logs.source
    if isinstance(experiment.logs, ProvidedLogs) != (data is not None):
        raise UserError(f"the experiment's logs are {source!r}: " + (
            "name their folder with --data" if data is None else "they are generated, so remove --data"))
    if data is not None and not data.is_dir():
        raise UserError(f"--data {str(data)!r} is not a folder")


def logs_piece(experiment: Experiment, config: Config, data: Path | None) -> Piece | None:
    """Return the piece of the logs to generate or convert; None for raw logs and datasets."""
    logs = experiment.logs
    task: dict[str, Any] = {"source": logs.source}
    if isinstance(logs, CompleteJourneyLogs):
        task |= {"completejourney": logs.model_dump(mode="json", exclude={"source"}), "seed": config.seed,
                 "pretrain_end_week": config.windows.pretrain.bounds[1]}
    elif isinstance(logs, PlantedLogs):
        task |= {"sizes": logs.model_dump(exclude={"source"}), "seed": config.seed}
    elif isinstance(logs, RegimeLogs):
        task |= {"regime": logs.regime, "scale": logs.scale, "seed": config.seed}
    elif logs.source in CONVERTED:
        assert data is not None  # see check_data
        task |= {"seed": config.seed} if logs.source == "gowalla" else {}
        task |= {"continued": True} if logs.continued else {}
        return Piece.from_inputs(LOGS, logs.source, {**task, "data": fingerprint(logs.source, data)},
                        {**task, "data": str(data.resolve())})
    else:
        return None
    return Piece.from_inputs(LOGS, logs.source, task, task)


def fingerprint(source: str, data: Path) -> str:
    """Return a digest that changes with the provided data: the dataset manifest, or file names, sizes and times.

    Raises:
      UserError: the dataset is unfinished.
    """
    if source == "dataset":
        if not has_manifest(data, DATASET_INFO):
            raise UserError(f"--data {str(data)!r} has no {DATASET_INFO}, so it is not a finished dataset: name the "
                            "folder that `tfrs-pretrain dataset` wrote")
        return file_digest(data / DATASET_INFO)
    files = [data / name for name in CONVERTED[source]] if source in CONVERTED else sorted(data.rglob("*"))
    return json_digest([[str(path.relative_to(data)), path.stat().st_size, path.stat().st_mtime_ns]
                        for path in files if path.is_file()])
