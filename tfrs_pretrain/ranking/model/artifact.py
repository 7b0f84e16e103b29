"""The ranker artifact: what is served and what it was judged by. Teacher, losses and optimizer state stay out.

::

    tables/<name>.npy               float32 [rows, dim]
    network.keras                   the dense network
    predictions/<split>.parquet     scores of the validation and test impressions
    manifest.json                   inputs, digests, configuration, losses, metrics; written last
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tfrs_pretrain.artifacts import read_manifest, staged_folder, write_manifest
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.ranking.model.inputs import Inputs
from tfrs_pretrain.ranking.model.ranker import Ranker, build_ranker

KIND = "ranker"
NETWORK = "network.keras"


def save_ranker(folder: Path, ranker: Ranker, predictions: dict[str, pa.Table], manifest: dict[str, Any], *,
                overwrite: bool) -> None:
    """Writes the artifact.

    Args:
      folder: where to.
      ranker: the model to serve.
      predictions: split -> scored impressions.
      manifest: what else to record; ``vocabularies`` (digest by name) is required.
      overwrite: replace a folder that is there.

    Raises:
      UserError: the folder is not empty and ``overwrite`` is false.
    """
    with staged_folder(folder, overwrite=overwrite) as stage:
        (stage / "tables").mkdir()
        (stage / "predictions").mkdir()
        for name, table in ranker.tables.items():
            np.save(stage / "tables" / f"{name}.npy", table.numpy())
        ranker.network.save(stage / NETWORK)
        for split, scored in predictions.items():
            pq.write_table(scored, stage / "predictions" / f"{split}.parquet")
        write_manifest(stage, KIND, {**manifest, "labels": list(ranker.labels),
                                     "inputs": dataclasses.asdict(ranker.inputs)})


def load_ranker(folder: Path, dataset: Dataset) -> Ranker:
    """The trained ranker, ready to score impressions of this dataset.

    Raises:
      UserError: the artifact is unfinished or unreadable, or was trained with other vocabularies.
    """
    manifest = read_manifest(folder, KIND)
    inputs = Inputs.from_json(manifest["inputs"])
    for name in inputs.tables.values():
        expected, came = manifest["vocabularies"][name], dataset.digests.get(name, "none")
        if expected != came:
            raise UserError(f"ranker {str(folder)!r} was trained with another vocabulary {name!r} (digest "
                            f"{expected[:12]}, the dataset's is {came[:12]}): train on this dataset")
    try:
        rows = {name: np.load(folder / "tables" / f"{name}.npy") for name in inputs.tables}
        network = keras.saving.load_model(folder / NETWORK)
    except (OSError, ValueError, KeyError, TypeError) as error:  # the latter from a network of another version
        raise UserError(f"ranker {str(folder)!r} cannot be read ({' '.join(str(error).split())}): "
                        "copy the artifact again, or train again") from error
    return build_ranker(inputs, rows, network, labels=manifest["labels"])
