"""Recommendations for one user: Stage I retrieves candidates, Stage II ranks them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf

from tfrs_pretrain.artifact_names import RANKER_KIND
from tfrs_pretrain.artifacts import read_manifest
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.data.pairs import pair_blocks, report_corrupt_files
from tfrs_pretrain.embeddings.artifact import Embeddings
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.ranking.model.artifact import load_ranker
from tfrs_pretrain.retrieval.artifact import APPROXIMATE, EXACT, ItemIndex, search
from tfrs_pretrain.retrieval.features import CandidateFeatures, read_candidate_features
from tfrs_pretrain.retrieval.vectors import StageOneVectors
from tfrs_pretrain.schema import ITEM_ROW, USER_ROW
from tfrs_pretrain.value_types import ARROW_TYPES
from tfrs_pretrain.vocabulary import Vocabulary


@dataclasses.dataclass(frozen=True)
class RecommendationRequest:
    """A request for recommendations.

    Attributes:
      user: user id as text.
      top: number of items to return.
      candidates: number of items that Stage I retrieves for Stage II to rank.
      context: feature -> value as text, see ``read_candidate_features``.
      exact: search the exact index, even if there is an approximate one.
      with_seen: include items that the user engaged with in the pretraining window.
    """

    user: str
    top: int = 10
    candidates: int = 200
    context: Mapping[str, str] = dataclasses.field(default_factory=dict)
    exact: bool = False
    with_seen: bool = False


def recommend(request: RecommendationRequest, dataset: Dataset, embeddings: Embeddings, index: ItemIndex,
              ranker: Path) -> dict[str, Any]:
    """Recommends items to one user.

    A user outside the vocabulary has no embedding of their own. Their candidates are the items with the most
    engagements in the pretraining window, and Stage II ranks them as it does when serving.

    Returns:
      JSON: ``user``, ``known``, ``retrieved_by`` ("exact", "approximate" or "popularity"), ``seen_excluded``,
      ``context`` (the values used), ``notes`` (the assumptions), and ``items``: ``item``, ``score`` (of Stage II's main
      label), ``similarity`` (of Stage I, absent for popular items) and ``stage_one_rank`` (among the candidates, from
      1).

    Raises:
      UserError: dataset, embeddings, index and ranker do not match, the user id has another type, or a context feature
        is unknown.
    """
    user, row = _parse_user(request.user, dataset)
    _check_matching(dataset, embeddings, index)
    trained = load_ranker(ranker, dataset)
    vocabulary = dataset.vocabulary(ITEM_ROW)
    known = row >= dataset.schema.user.oov_rows
    seen = np.empty(0, np.int64) if request.with_seen or not known else _engaged_items(dataset, row)
    if known:
        retrieved_by = APPROXIMATE if APPROXIMATE in index.names and not request.exact else EXACT
        query = StageOneVectors(embeddings, dataset).users(np.array([row]))
        similarity, items = (found[0] for found in search(
            index.load(retrieved_by), query, request.candidates + len(seen)))
        new = (items >= 0) & ~np.isin(items, seen)
        similarity, items = similarity[new][:request.candidates], items[new][:request.candidates]
    else:
        retrieved_by, similarity = "popularity", None
        items = vocabulary.id_rows
        items = items[np.argsort(-vocabulary.row_counts[items], kind="stable")][:request.candidates]
    found = read_candidate_features(dataset, trained.inputs.columns, user, items, request.context)
    scores = trained.score({name: tf.constant(values) for name, values in found.columns.items()}).numpy()[:, 0]
    order = np.argsort(-scores, kind="stable")[:request.top]
    return {
        "user": user, "known": bool(known), "retrieved_by": retrieved_by, "seen_excluded": len(seen),
        "candidates": len(items), "context": dict(request.context) | found.assumed,
        "notes": _other_run_note(ranker, embeddings) + _notes(request, known, found),
        "items": [_item(vocabulary, items, scores, similarity, position) for position in order.tolist()],
    }


def _parse_user(text: str, dataset: Dataset) -> tuple[int | str, int]:
    """Parses a user id; returns the raw id and its row."""
    dtype = dataset.schema.user.dtype
    try:
        user: int | str = int(text) if dtype == "int64" else text
        row = dataset.id_lookup(USER_ROW).lookup(pa.array([user], ARROW_TYPES[dtype]))[0]
    except (ValueError, OverflowError) as error:
        raise UserError(f"user id {text!r}: expected an integer of 64 bits, as in column "
                        f"{dataset.schema.user.column!r} of the logs") from error
    return user, int(row)


def _check_matching(dataset: Dataset, embeddings: Embeddings, index: ItemIndex) -> None:
    """Checks that the index was built from the embeddings, and the embeddings for the dataset's vocabularies."""
    for table, digest in index.manifest["rows_digests"].items():
        found = embeddings.manifest["tables"][table]["rows_digest"]
        if digest != found:
            raise UserError(f"index {str(index.folder)!r} was built from other embeddings than "
                            f"{str(embeddings.folder)!r} (table {table!r}, digest {digest[:12]}, found {found[:12]}): "
                            "build it again with `tfrs-pretrain index`")
    for table, digest in dataset.digests.items():
        if table in embeddings.tables and embeddings.manifest["tables"][table]["vocabulary_digest"] != digest:
            raise UserError(f"embeddings {str(embeddings.folder)!r} were trained with another vocabulary {table!r} "
                            f"than that of dataset {str(dataset.folder)!r}: name the dataset of their pretraining")


def _other_run_note(ranker: Path, embeddings: Embeddings) -> list[str]:
    """Notes that the ranker started from other embeddings than the index has, which may be intended."""
    start = read_manifest(ranker, RANKER_KIND)["embeddings"]
    tables = embeddings.manifest["tables"]
    if not start or all(table["rows_digest"] == tables[name]["rows_digest"] for name, table in start["tables"].items()
                        if name in tables):
        return []
    windows = embeddings.manifest["window"], start["window"]
    ours, theirs = (f"{window['start']} to {window['end']}" for window in windows)
    return [f"ranker and index are of different runs: the ranker started from embeddings of the window {theirs}, the "
            f"index has those of the window {ours}"]


def _engaged_items(dataset: Dataset, user_row: int) -> np.ndarray:
    """Rows of the items in the user's training pairs, int64 [n]."""
    files = dataset.files("pairs/train")
    with report_corrupt_files(files):
        return np.unique(np.concatenate([np.empty(0, np.int64), *(
            block["candidate"][block["query"] == user_row].astype(np.int64)
            for block in pair_blocks(files).as_numpy_iterator())]))


def _notes(request: RecommendationRequest, known: bool, found: CandidateFeatures) -> list[str]:
    """Assumptions behind the recommendations, for people."""
    notes = []
    if not known:
        notes.append(f"user {request.user} is not in the vocabulary: candidates are the most popular items, and the "
                     "ranker uses the row that unknown users share")
    if not found.user_seen:
        notes.append("this user has no impressions: their features are missing values")
    if found.unseen_items.any():
        notes.append(f"{found.unseen_items.sum()} of {len(found.unseen_items)} candidates were never shown: "
                     "their features are missing values")
    if found.assumed:
        values = ", ".join(f"{name}={'(missing)' if value is None else value}" for name, value in found.assumed.items())
        notes.append(f"unspecified context takes its most frequent value: {values}")
    return notes


def _item(vocabulary: Vocabulary, items: np.ndarray, scores: np.ndarray, similarity: np.ndarray | None,
          position: int) -> dict[str, Any]:
    item = vocabulary.ids[int(items[position]) - vocabulary.oov_rows].as_py()
    entry = {"item": item, "score": float(scores[position]), "stage_one_rank": position + 1}
    return entry if similarity is None else entry | {"similarity": float(similarity[position])}
