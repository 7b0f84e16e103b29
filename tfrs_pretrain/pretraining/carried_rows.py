"""Carry pretrained rows over to the vocabularies of a later dataset, without training."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tfrs_pretrain.artifact_names import DATASET_INFO
from tfrs_pretrain.artifacts import file_digest
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.embeddings.artifact import Embeddings, save_embeddings
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.vocabulary_changes import RowMap

UNCHANGED = ("config", "epochs", "kept_epoch", "machine", "peak_rss_bytes", "popularity_prior", "replicas", "seed",
             "steps_per_epoch", "temperature", "window", "code_version")


def carry_rows(earlier: Embeddings, dataset: Dataset, output: Path) -> None:
    """Write an artifact with the rows of the ids that both vocabularies have.

    The rows of other ids are zero and count as untrained, so a ranker starts them as its arm says. Nothing is trained:
    the artifact describes the training of the earlier one.

    Args:
      earlier: the rows.
      dataset: a later dataset.
      output: the artifact's folder, replaced if it exists.

    Raises:
      UserError: an ID space has another type of ids, or the earlier window is not before the ranking windows.
    """
    earlier.check_window(dataset)
    vocabularies = {name: dataset.vocabulary(name) for name in dataset.schema.id_spaces}
    tables, trained = {}, {}
    for name, later in vocabularies.items():
        known, matrix, rows = earlier.vocabulary(name), earlier.matrix(name), earlier.trained_rows(name)
        if known.dtype != later.dtype:
            raise UserError(f"embeddings {str(earlier.folder)!r}: the ids of {name!r} have type {known.dtype}, those "
                            f"of the dataset {later.dtype}: pretrain on this dataset")
        row_map = RowMap.between(known, later)
        tables[name] = np.asarray(row_map.copy(matrix, np.zeros((later.num_rows, matrix.shape[1]), np.float32)))
        trained[name] = np.zeros(later.num_rows, bool)
        trained[name][row_map.target] = (known.occurring if rows is None else rows)[row_map.source]
    record = {name: earlier.manifest[name] for name in UNCHANGED if name in earlier.manifest}
    save_embeddings(output, tables, vocabularies, record | {
        "dataset_info_digest": file_digest(dataset.folder / DATASET_INFO), "seconds": 0.0,
        "vocabulary_digests": {name: vocabulary.digest for name, vocabulary in vocabularies.items()}},
        overwrite=True, trained=trained)
