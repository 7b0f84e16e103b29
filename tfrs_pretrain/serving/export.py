"""From a ranker artifact to a checked, numbered version that TensorFlow Serving picks up."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfrs_pretrain.artifacts import json_digest, read_manifest, staged_folder, write_manifest
from tfrs_pretrain.config import Config
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.progress import progress
from tfrs_pretrain.ranking.artifact import KIND as RANKER_KIND
from tfrs_pretrain.ranking.artifact import load_ranker
from tfrs_pretrain.ranking.ranker import Ranker
from tfrs_pretrain.serving.golden import Golden, read_golden
from tfrs_pretrain.serving.inputs import raw_inputs
from tfrs_pretrain.serving.model import ServedRanker
from tfrs_pretrain.serving.session import run_signature
from tfrs_pretrain.serving.signatures import SIGNATURE, save
from tfrs_pretrain.serving.warmup import write_warmup

KIND = "saved_model"
EXTRA = "assets.extra"
WARMUP = "tf_serving_warmup_requests"
GOLDEN_REQUESTS = "golden_requests.json"


def export(config: Config, dataset: Dataset, ranker: Path, models: Path = Path("saved_models")) -> dict[str, Any]:
    """Writes ``models/<config.name>/<next version>/`` and returns its manifest with ``path`` added.

    The version appears under its number only after the session loader gave the trained model's scores on the
    dataset's golden impressions; a server that polls the folder sees all of it or nothing.

    Args:
      config: gives the name and the tolerance.
      dataset: what the ranker was trained on.
      ranker: folder of the ranker artifact.
      models: TensorFlow Serving's folder of models.

    Raises:
      UserError: the ranker or the dataset's golden impressions do not fit, or scores differ by more than
        ``export.tolerance``.
    """
    described = read_manifest(ranker, RANKER_KIND)
    trained = load_ranker(ranker, dataset)
    target = models / config.name / str(next_version(models / config.name))
    with progress(f"export version {target.name}") as meter, staged_folder(target) as stage:
        golden = read_golden(dataset, trained)
        _save(stage, trained, dataset)
        served = run_signature(stage, SIGNATURE, golden.inputs)
        largest = check_scores(served, golden, config.export.tolerance)
        meter.note(f"{len(golden.keys)} golden scores, largest difference {largest:.0e}")
        _write_extras(stage, config, golden)
        manifest = {
            "name": config.name, "version": int(target.name), "arm": described["arm"],
            "ranker": str(ranker.resolve()), "ranker_digest": json_digest(described),
            "dataset_digest": json_digest(dataset.info),
            "vocabularies": {name: dataset.digests[name] for name in trained.inputs.tables.values()},
            "windows": dataset.windows.model_dump(mode="json"), "config": config.resolved(),
            "inputs": {name: dataclasses.asdict(of)
                       for name, of in raw_inputs(dataset.schema, trained.inputs.columns).items()},
            "bytes": _size(stage),
            "outputs": dict(zip(golden.scores, trained.labels, strict=True)),
            "check": {"impressions": len(golden.keys), "tolerance": config.export.tolerance,
                      "largest_difference": largest},
        }
        write_manifest(stage / EXTRA, KIND, manifest)
    return read_manifest(target / EXTRA, KIND) | {"path": str(target)}


def next_version(folder: Path) -> int:
    """1 after the highest version in a model's folder; the first is 1."""
    versions = [int(path.name) for path in folder.glob("*") if path.name.isdecimal()]
    return max(versions, default=0) + 1


def check_scores(served: Mapping[str, np.ndarray], golden: Golden, tolerance: float) -> float:
    """Largest difference between served and trained scores [n] of any output.

    Raises:
      UserError: it exceeds the tolerance; the message names the output, the impression and both scores.
    """
    return max(_check_output(name, served[name], golden, tolerance) for name in golden.scores)


def _check_output(name: str, served: np.ndarray, golden: Golden, tolerance: float) -> float:
    expected = golden.scores[name]
    differences = np.abs(served.astype(np.float64) - expected)
    # A score that is no number differs from everything.
    differences[np.isnan(differences)] = np.inf
    worst = int(differences.argmax())
    if differences[worst] > tolerance:
        raise UserError(
            f"exported model, output {name!r}: golden impression {golden.keys[worst]} (row {worst}) is served as "
            f"{served[worst]:.7f}, the trained ranker gives {expected[worst]:.7f}; expected a difference of at most "
            f"{tolerance:g}, nothing was exported: build dataset and ranker again, or raise export.tolerance if this "
            "is rounding")
    return float(differences[worst])


def _save(folder: Path, ranker: Ranker, dataset: Dataset) -> None:
    with tempfile.TemporaryDirectory() as assets:
        save(ServedRanker(ranker, dataset, Path(assets)), folder)


def _write_extras(folder: Path, config: Config, golden: Golden) -> None:
    (folder / EXTRA).mkdir()
    write_warmup(folder / EXTRA / WARMUP, config.name, golden.inputs)
    golden.write(folder / EXTRA / GOLDEN_REQUESTS)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
