"""The steps of a round, in order. Each recognizes its own finished output, so a round continues by the same command."""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.text import Text

from beam_pipelines import build_dataset, validate_examples
from beam_pipelines.jobs.runner import pipeline_options
from beam_pipelines.validation.report import print_report
from beam_pipelines.validation.thresholds import THRESHOLDS
from tfrs_pretrain.artifact_names import DATASET_INFO
from tfrs_pretrain.artifacts import has_manifest
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.finished_outputs import report_finished
from tfrs_pretrain.pretraining.run import pretrain
from tfrs_pretrain.progress import console
from tfrs_pretrain.ranking.run import train_arm
from tfrs_pretrain.retraining.gated_promotion import PromotionSettings, promote_round
from tfrs_pretrain.retraining.round_folder import POLL_SECONDS, RoundFolder
from tfrs_pretrain.serving.exporting.recorded_export import export_and_record, recorded_version
from tfrs_pretrain.serving.signing import Signer

VALIDATION = "validation.json"


class DatasetDriftError(Exception):
    """A limit of the validation is exceeded."""


@dataclasses.dataclass(frozen=True)
class RoundSettings:
    """What a round reads and writes beside its folder.

    Attributes:
      raw: folder that ``dataset.sources`` are relative to; may be a URL.
      models: TF Serving's folder of models.
      carry_ranker: start the ranker from that of the round before too.
      beam_options: options of Beam for the dataset jobs, and limits of ``validate_examples``.
      promotion: gate and label; None: the version is exported only.
      worker: index of this worker; the first one writes what one process writes.
      signer: signs the version; None leaves it unsigned.
      show_dataset: prints the content of dataset_info.json.
    """

    raw: str
    models: Path
    carry_ranker: bool = False
    beam_options: Sequence[str] = ()
    promotion: PromotionSettings | None = None
    worker: int = 0
    signer: Signer | None = None
    show_dataset: Callable[[dict[str, Any]], None] = lambda info: None


def run_round(round_: RoundFolder, settings: RoundSettings, names: Sequence[str]) -> None:
    """Run steps of a round in their order.

    Args:
      round_: the round.
      settings: what the round reads and writes.
      names: of ``STEPS``.

    Raises:
      UserError: a step refuses its input.
      DatasetDriftError: the dataset differs too much from that of the round before.
      GateRefusedError: the gate refused the version.
      SystemExit: SIGTERM was received while training (exit code 143); the same call continues.
    """
    for name, step in STEPS.items():
        if name in names:
            console.print(Text(f"round {round_.folder.name}: ", style="dim").append(name, style="bold"))
            step(round_, settings)


def _build_dataset(round_: RoundFolder, settings: RoundSettings) -> None:
    if settings.worker:
        return _wait_for(round_.dataset, DATASET_INFO)
    extending = [f"--extend={round_.previous.dataset}"] if round_.previous else []
    info = build_dataset.build(round_.config, settings.raw, round_.dataset,
                               [*_without_limits(settings.beam_options), *extending],
                               overwrite=not has_manifest(round_.dataset, DATASET_INFO))  # of a killed job
    settings.show_dataset(info)
    return None


def _without_limits(options: Sequence[str]) -> list[str]:
    """Options of Beam without the limits of the validation, which other jobs refuse."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for name in THRESHOLDS:
        parser.add_argument(f"--{name}")
    return parser.parse_known_args(options)[1]


def _validate(round_: RoundFolder, settings: RoundSettings) -> None:
    """Compare the dataset with that of the round before."""
    if settings.worker or round_.previous is None:
        return
    report, _ = validate_examples.validate(pipeline_options([
        f"--dataset={round_.dataset}", f"--against={round_.previous.dataset}",
        f"--report={round_.folder / VALIDATION}", *settings.beam_options]))
    print_report(report)
    if report["violations"]:
        raise DatasetDriftError(f"{len(report['violations'])} limits of the validation are exceeded: look at the logs, "
                                f"then raise the limits or mend the logs and remove {str(round_.dataset)!r}")


def _pretrain(round_: RoundFolder, settings: RoundSettings) -> None:
    earlier = round_.previous.embeddings if round_.previous else None
    pretrain(round_.config, Dataset.open(round_.dataset), round_.embeddings, start_from=earlier)


def _train_ranker(round_: RoundFolder, settings: RoundSettings) -> None:
    earlier = round_.previous if settings.carry_ranker else None
    arm = round_.config.export.arm
    needs_rows = round_.config.ranking.arms[arm].pretrained_tables
    train_arm(round_.config, Dataset.open(round_.dataset), arm, round_.ranker,
              embeddings=round_.embeddings if needs_rows else None,
              start_from=earlier.ranker if earlier else None,
              start_from_dataset=earlier.dataset if earlier else None)


def _export(round_: RoundFolder, settings: RoundSettings) -> None:
    if settings.worker == 0:
        _version(round_, settings)


def _promote(round_: RoundFolder, settings: RoundSettings) -> None:
    if settings.worker == 0 and settings.promotion is not None:
        promote_round(round_, _version(round_, settings), settings.raw, settings.promotion)


def _version(round_: RoundFolder, settings: RoundSettings) -> Path:
    """Folder of the version that this round exported; exports it if there is none."""
    if version := recorded_version(round_.export, settings.models):
        report_finished(version)
        return version
    return export_and_record(round_.config, Dataset.open(round_.dataset), round_.ranker, round_.export,
                             settings.models, settings.signer)


STEPS: dict[str, Callable[[RoundFolder, RoundSettings], None]] = {
    "dataset": _build_dataset, "validate": _validate, "pretrain": _pretrain, "train-ranker": _train_ranker,
    "export": _export, "promote": _promote}


def check_steps(names: Sequence[str]) -> Sequence[str]:
    """Return the names, all steps if there are none.

    Raises:
      UserError: a name is unknown.
    """
    unknown = [name for name in names if name not in STEPS]
    if unknown:
        raise UserError(f"--step {unknown[0]!r} is unknown: name one of {list(STEPS)}")
    return names or list(STEPS)


def _wait_for(folder: Path, manifest: str) -> None:
    """Wait until the first worker has written an artifact to a folder that all workers share."""
    console.print(Text(f"waiting for {folder} of the first worker", style="dim"), soft_wrap=True)
    while not has_manifest(folder, manifest):
        time.sleep(POLL_SECONDS)
