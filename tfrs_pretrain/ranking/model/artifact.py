"""The ranker artifact: the model to serve and its predictions. It has no teacher, loss or optimizer state.

::

    tables/<name>.npy               float32 [num_rows, dim]
    network.keras                   the dense network
    cold_rows.npz                   prediction of the rows of unknown ids, if the arm has one
    predictions/<split>.parquet     scores of the validation and test impressions
    manifest.json                   inputs, digests, configuration, losses, metrics; written last
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tfrs_pretrain.array_files import write_array
from tfrs_pretrain.artifact_names import COLD_ROWS_FILE, NETWORK_FILE, PREDICTIONS_FOLDER, RANKER_KIND, TABLES_FOLDER
from tfrs_pretrain.artifacts import read_manifest, write_manifest
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.file_digests import checked_file
from tfrs_pretrain.output_folders import inside, staged_folder
from tfrs_pretrain.ranking.model.cold_rows import load_cold_rules
from tfrs_pretrain.ranking.model.inputs import Inputs
from tfrs_pretrain.ranking.model.ranker import Ranker, build_ranker
from tfrs_pretrain.ranking.model.saved_network import load_network


def save_ranker(folder: Path, ranker: Ranker, predictions: dict[str, pa.Table], manifest: dict[str, Any], *,
                overwrite: bool) -> None:
    """Write the artifact.

    Args:
      folder: of the artifact.
      ranker: the model to serve.
      predictions: split -> scored impressions.
      manifest: further content of the manifest; ``vocabularies`` (name -> digest) is required.
      overwrite: replace an existing folder.

    Raises:
      UserError: the folder is not empty and ``overwrite`` is false.
    """
    with staged_folder(folder, overwrite=overwrite) as stage:
        (stage / TABLES_FOLDER).mkdir()
        (stage / PREDICTIONS_FOLDER).mkdir()
        for name, table in ranker.tables.items():
            weights = table.placed_variables[0]
            write_array(inside(stage, TABLES_FOLDER, f"{name}.npy"), weights.shape, weights.dtype, weights.blocks())
        ranker.network.save(stage / NETWORK_FILE)
        if ranker.cold_rows is not None:
            ranker.cold_rows.save(stage / COLD_ROWS_FILE)
        for split, scored in predictions.items():
            pq.write_table(scored, stage / PREDICTIONS_FOLDER / f"{split}.parquet")
        cold_spaces = {"cold_rows": sorted(ranker.cold_rows.rules)} if ranker.cold_rows is not None else {}
        write_manifest(stage, RANKER_KIND, {**manifest, **cold_spaces, "labels": list(ranker.labels),
                                     "inputs": dataclasses.asdict(ranker.inputs)})


def load_ranker(folder: Path, dataset: Dataset) -> Ranker:
    """Load a trained ranker to score impressions of a dataset.

    Raises:
      UserError: the artifact is unfinished, unreadable or damaged, or was trained with other vocabularies.
    """
    manifest = read_manifest(folder, RANKER_KIND)
    inputs = Inputs.from_json(manifest["inputs"])
    for name in inputs.tables.values():
        expected, received = manifest["vocabularies"][name], dataset.digests.get(name, "none")
        if expected != received:
            raise UserError(f"ranker {str(folder)!r} was trained with another vocabulary {name!r} (digest "
                            f"{expected[:12]}, the dataset's is {received[:12]}): train on this dataset")
    try:
        matrices = {name: np.load(checked_file(folder, manifest, f"{TABLES_FOLDER}/{name}.npy"))
                    for name in inputs.tables}
        network = load_network(checked_file(folder, manifest, NETWORK_FILE))
        cold_rules = {}
        if manifest.get("cold_rows"):
            cold_rules = load_cold_rules(checked_file(folder, manifest, COLD_ROWS_FILE))
    except (OSError, ValueError, KeyError, TypeError) as error:  # TypeError: a network of another version
        raise UserError(f"ranker {str(folder)!r} cannot be read ({' '.join(str(error).split())}): "
                        "copy the artifact again, or train again") from error
    return build_ranker(inputs, matrices, network, labels=manifest["labels"], cold_rules=cold_rules)
