"""Promotion of a round's version: both models are evaluated on the new test window, then the label moves or stays."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from beam_pipelines import build_impressions
from tfrs_pretrain.artifact_names import DATASET_KIND, IMPRESSIONS_KIND
from tfrs_pretrain.config.gate import Gate
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.evaluation import promotion
from tfrs_pretrain.evaluation.predictions import Reader
from tfrs_pretrain.evaluation.show import show_promotion
from tfrs_pretrain.json_documents import json_digest
from tfrs_pretrain.progress import console
from tfrs_pretrain.ranking.rescore import scoring
from tfrs_pretrain.retraining.round_folder import DATASET, RoundFolder, finished_rounds
from tfrs_pretrain.serving.labels.models_config import folder_of, model_entry
from tfrs_pretrain.serving.labels.promotion import LabelMove
from tfrs_pretrain.serving.labels.served_model import ServedModel
from tfrs_pretrain.serving.signing import check_signatures
from tfrs_pretrain.serving.version_folder import read_version

SEEN_BY_LIVE = "seen_by_live"  # folder of the new impressions with the vocabularies of the live model


class GateRefusedError(Exception):
    """The gate refused a version; the reasons were printed."""


@dataclasses.dataclass(frozen=True)
class PromotionSettings:
    """Gate and label of a promotion.

    Attributes:
      gate: the requirements.
      label: label that a promoted version receives.
      models_config: TF Serving's file of models and labels.
      server: gRPC address of the running server, which must apply the edits; None: they are not checked.
      wait: seconds to wait for the server.
      public_key: PEM file; the version must be signed with its private half; None: signatures are not read.
    """

    gate: Gate
    label: str
    models_config: Path
    server: str | None = None
    wait: float = 120.0
    public_key: Path | None = None


def promote_round(round_: RoundFolder, version: Path, raw: str, settings: PromotionSettings) -> None:
    """Move the label to a version if the gate accepts it in comparison with the version that has the label now.

    Args:
      round_: round of the version.
      version: folder of the version.
      raw: folder of the logs.
      settings: gate and label.

    Raises:
      GateRefusedError: a requirement is not met.
      UserError: the version is not signed, the models.config has no such model, or no round has the dataset of the
        live version.
    """
    check_signatures([version], settings.public_key)
    move = LabelMove.plan(version, settings.models_config, settings.label)
    live = _live_version(settings.models_config, move.name, settings.label)
    if live == version.resolve():
        console.print(f"{settings.label} already names {version}", soft_wrap=True)
        return
    result = (promotion.promote(version, settings.gate, live, _reader(round_, live, raw)) if live
              else promotion.promote(version, settings.gate, None))
    result.write(result.default_path)
    show_promotion(result, console)
    if result.verdict == promotion.REFUSED:
        raise GateRefusedError(f"the gate refuses {str(version)!r}: {str(result.default_path)!r} has every check")
    served = ServedModel(settings.server, move.name, settings.wait) if settings.server else None
    console.print(move.execute(served), soft_wrap=True)


def _live_version(models_config: Path, name: str, label: str) -> Path | None:
    """Folder of the version that a label names; None without the label."""
    entry = model_entry(models_config, name)
    if label not in entry.version_labels:
        return None
    return (folder_of(entry, models_config) / str(entry.version_labels[label])).resolve()


def _reader(round_: RoundFolder, live: Path, raw: str) -> Reader:
    """Reader of predictions on the test window of the round, built with the vocabularies of each of both models."""
    shown = Dataset.open(round_.dataset)
    trained = _dataset_of(live, round_.folder.parent)
    if trained.digests == shown.digests:
        return scoring([shown])
    output = round_.folder / SEEN_BY_LIVE
    window = json.dumps(round_.config.windows.test.model_dump(mode="json"))
    build_impressions.run([f"--vocabulary={trained.folder}", f"--raw={raw}", f"--output={output}", "--splits=test",
                           f"--set=windows.test={window}"])
    return scoring([shown, Dataset.open(output, (DATASET_KIND, IMPRESSIONS_KIND))])


def _dataset_of(version: Path, rounds: Path) -> Dataset:
    """The dataset that a version's ranker was trained on."""
    digest = read_version(version)["dataset_digest"]
    for _, folder in finished_rounds(rounds):
        dataset = Dataset.open(folder / DATASET)
        if json_digest(dataset.info) == digest:
            return dataset
    raise UserError(f"the live version {str(version)!r} was not trained in a round of {str(rounds)!r}: promote this "
                    "version by hand once (`tfrs-pretrain promote`), or keep the dataset of the live version there")
