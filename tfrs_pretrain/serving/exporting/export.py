"""From a ranker artifact to a checked, numbered version that TensorFlow Serving picks up."""

from __future__ import annotations

import dataclasses
import errno
import tempfile
from pathlib import Path
from typing import Any

from tfrs_pretrain.artifact_names import EXTRA_ASSETS, RANKER_KIND, SAVED_MODEL_KIND
from tfrs_pretrain.artifacts import json_digest, read_manifest, unfinished_folder, write_manifest
from tfrs_pretrain.config import Config, ExportConfig
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.progress import progress
from tfrs_pretrain.ranking.model.artifact import load_ranker
from tfrs_pretrain.ranking.model.ranker import Ranker
from tfrs_pretrain.serving.exporting.export_checks import check_answers, check_operations
from tfrs_pretrain.serving.exporting.extra_assets import write_bundle
from tfrs_pretrain.serving.exporting.golden_impressions import read_golden_impressions
from tfrs_pretrain.serving.exporting.golden_requests import golden_requests
from tfrs_pretrain.serving.exporting.memory import check_budget, folder_bytes
from tfrs_pretrain.serving.exporting.model_card import model_card, write_card
from tfrs_pretrain.serving.exporting.quantization import quantization_cost, quantized
from tfrs_pretrain.serving.exporting.reference_scorer import ReferenceScorer
from tfrs_pretrain.serving.graph.served_ranker import ServedRanker
from tfrs_pretrain.serving.graph.signatures import SavedModelContents, save


def export(config: Config, dataset: Dataset, ranker: Path, models: Path = Path("saved_models")) -> dict[str, Any]:
    """Writes ``models/<config.name>/<next version>/`` and returns its manifest with ``path`` added.

    The version appears under its number only after everything was checked, see ``checks``; a server that polls the
    folder sees all of it or nothing. Several exports into one folder may run at once.

    Args:
      config: gives the name, the tables' type, the tolerances and the memory budget.
      dataset: what the ranker was trained on.
      ranker: folder of the ranker artifact.
      models: TensorFlow Serving's folder of models.

    Raises:
      UserError: the ranker or the dataset's golden impressions do not fit, an answer differs by more than
        ``export.tolerance``, the tables' type costs more than ``export.table_tolerance``, the graph has foreign
        operations, or two versions do not fit into ``export.memory_budget_bytes``.
    """
    folder, settings = models / config.name, config.export
    with progress(f"export {config.name}") as meter, unfinished_folder(folder, "version") as stage:
        described = read_manifest(ranker, RANKER_KIND)
        trained, cost = _as_served(load_ranker(ranker, dataset), dataset, settings)
        golden = read_golden_impressions(dataset, trained)
        contents = _save(stage, trained, dataset, settings.table_dtype)
        operations = check_operations(stage)
        requests = golden_requests(golden, ReferenceScorer(trained, dataset), contents.inputs, contents.classes)
        answered = check_answers(stage, requests, settings.tolerance)
        write_bundle(stage, config.name, golden, requests, contents, described)
        manifest = {
            "name": config.name, "arm": described["arm"],
            "ranker": str(ranker.resolve()), "ranker_digest": json_digest(described),
            "dataset_digest": json_digest(dataset.info),
            "vocabularies": {name: dataset.digests[name] for name in trained.inputs.tables.values()},
            "windows": dataset.windows.model_dump(mode="json"), "config": config.resolved(),
            **dataclasses.asdict(contents), "table_cost": cost, "operations": operations,
            "bytes": folder_bytes(stage), "memory": check_budget(stage, answered.memory, settings.memory_budget_bytes),
            "check": {"impressions": len(golden.keys), "tolerance": settings.tolerance,
                      "largest_difference": max(of["largest_difference"] for of in answered.signatures.values()),
                      "signatures": answered.signatures},
        }
        card = model_card(manifest, described, ranker)
        target = _publish(stage, folder, manifest, card)
        meter.note(f"version {target.name}")
    return read_manifest(target / EXTRA_ASSETS, SAVED_MODEL_KIND) | {"path": str(target)}


def next_version(folder: Path) -> int:
    """1 after the highest version in a model's folder; the first is 1."""
    versions = [int(path.name) for path in folder.glob("*") if path.name.isdecimal()]
    return max(versions, default=0) + 1


def _as_served(trained: Ranker, dataset: Dataset, settings: ExportConfig) -> tuple[Ranker, dict[str, Any] | None]:
    """The ranker with the rows that will be served, and what they cost where they are not those that were trained."""
    if settings.table_dtype == "float32":
        return trained, None
    served = quantized(trained, settings.table_dtype)
    return served, quantization_cost(trained, served, dataset, settings.table_tolerance)


def _save(folder: Path, ranker: Ranker, dataset: Dataset, table_dtype: str) -> SavedModelContents:
    with tempfile.TemporaryDirectory() as assets:
        return save(ServedRanker(ranker, dataset, Path(assets), table_dtype), folder)


def _publish(stage: Path, folder: Path, manifest: dict[str, Any], card: dict[str, Any]) -> Path:
    """Writes what names the version, the manifest last, and renames the stage to it."""
    while True:
        target = folder / str(next_version(folder))
        write_card(stage / EXTRA_ASSETS, card, int(target.name))
        write_manifest(stage / EXTRA_ASSETS, SAVED_MODEL_KIND, manifest | {"version": int(target.name)})
        try:
            return stage.rename(target)
        except OSError as error:
            # Another export took this number meanwhile.
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
