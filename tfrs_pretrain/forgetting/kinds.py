"""The registry of artifact kinds: how ids are removed from each. A kind that is missing here is refused by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tfrs_pretrain.artifact_names import (
    BEST_EPOCH_KIND,
    CHECKPOINT_KIND,
    DATASET_INFO,
    DATASET_KIND,
    DELTA_KIND,
    EMBEDDINGS_EXPORT_KIND,
    EMBEDDINGS_KIND,
    EXPORT_KIND,
    IMPRESSIONS_KIND,
    ITEM_INDEX_KIND,
    LOGS_KIND,
    PAIRS_KIND,
    RANKER_KIND,
    SAVED_MODEL_KIND,
    SERVED_TABLES_KIND,
    STREAM_KIND,
    STUDY_KIND,
    VOCABULARY_KIND,
)
from tfrs_pretrain.forgetting import dataset, deltas, exported, item_index, logs, tables
from tfrs_pretrain.forgetting.artifact import Kind, Leak, Removed
from tfrs_pretrain.forgetting.ids import ForgottenIds
from tfrs_pretrain.stream_study import FILE as STREAM_FILE
from tfrs_pretrain.study import FILE as STUDY_FILE


def _nothing(folder: Path, manifest: dict[str, Any], ids: ForgottenIds) -> Removed:
    """For manifests that contain digests of others, but no ids."""
    return Removed()


def _no_leaks(folder: Path, manifest: Mapping[str, Any], ids: ForgottenIds) -> Iterator[Leak]:
    return iter(())


def _dataset(order: int) -> Kind:
    return Kind(dataset.erase, dataset.leaks, order, dataset.vocabulary_files, dataset.quoted_digests,
                manifest_name=DATASET_INFO)


KINDS: dict[str, Kind] = {
    LOGS_KIND: Kind(logs.erase, logs.leaks, 0),
    VOCABULARY_KIND: _dataset(1),
    PAIRS_KIND: _dataset(3),
    IMPRESSIONS_KIND: _dataset(3),
    DATASET_KIND: _dataset(2),
    EMBEDDINGS_KIND: Kind(tables.erase_embeddings, tables.embeddings_leaks, 4, tables.vocabulary_files,
                          tables.quoted_digests),
    ITEM_INDEX_KIND: Kind(item_index.erase, item_index.leaks, 5, item_index.vocabulary_files,
                          item_index.quoted_digests),
    RANKER_KIND: Kind(tables.erase_ranker, tables.ranker_leaks, 5),
    # The best epoch finds its dataset through the checkpoints beside it.
    BEST_EPOCH_KIND: Kind(tables.erase_variables, tables.variable_leaks, 6),
    CHECKPOINT_KIND: Kind(tables.erase_variables, tables.variable_leaks, 7),
    SAVED_MODEL_KIND: Kind(exported.erase, exported.leaks, 8, exported.vocabulary_files, exported.quoted_digests,
                           exported.lost_rows),
    DELTA_KIND: Kind(deltas.erase, deltas.leaks, 9, digests=deltas.quoted_digests, lost=deltas.lost_rows),
    EXPORT_KIND: Kind(_nothing, _no_leaks, 10),
    STUDY_KIND: Kind(_nothing, _no_leaks, 11, manifest_name=STUDY_FILE),
    STREAM_KIND: Kind(_nothing, _no_leaks, 11, manifest_name=STREAM_FILE),
}
# Documents about the artifacts in the same folder, which they contain the digests of.
STUDIES = frozenset({STUDY_KIND, STREAM_KIND})
# Manifests that are files of another artifact, which changes them.
INNER_KINDS = frozenset({SERVED_TABLES_KIND})
# Kinds from which ids cannot be removed -> what to do instead.
REFUSED = {EMBEDDINGS_EXPORT_KIND: "it is a copy for other programs: delete it, forget the ids in the embeddings, and "
                                   "run `tfrs-pretrain embeddings export` again"}
