"""Items for one user: Stage I finds candidates, Stage II orders them."""

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
from tfrs_pretrain.data.pairs import pair_blocks
from tfrs_pretrain.embeddings.artifact import Embeddings
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.ranking.model.artifact import load_ranker
from tfrs_pretrain.retrieval.artifact import APPROXIMATE, EXACT, ItemIndex, search
from tfrs_pretrain.retrieval.features import Found, find_features
from tfrs_pretrain.retrieval.vectors import StageOneVectors
from tfrs_pretrain.schema import ITEM_ROW, USER_ROW
from tfrs_pretrain.value_types import ARROW_TYPES
from tfrs_pretrain.vocabulary import Vocabulary


@dataclasses.dataclass(frozen=True)
class Question:
    """What is asked.

    Attributes:
      user: id as typed.
      top: items to answer with.
      candidates: items that Stage I hands to Stage II.
      context: feature -> value as text, see ``find_features``.
      exact: search the exact index although there is an approximate one.
      with_seen: also recommend what the user engaged with in the pretraining window.
    """

    user: str
    top: int = 10
    candidates: int = 200
    context: Mapping[str, str] = dataclasses.field(default_factory=dict)
    exact: bool = False
    with_seen: bool = False


def recommend(question: Question, dataset: Dataset, embeddings: Embeddings, index: ItemIndex,
              ranker: Path) -> dict[str, Any]:
    """The answer as JSON.

    A user who was not admitted to the vocabulary has no row of their own that Stage I learnt: they get the items that
    were engaged with most in the pretraining window, ordered by Stage II as it would order them when serving.

    Returns:
      ``user``, ``known``, ``found_by`` ("exact", "approximate" or "popularity"), ``seen_left_out``, ``context`` (the
      values used), ``notes`` (what was assumed), and ``items``: ``item``, ``score`` (of Stage II's main label),
      ``similarity`` (of Stage I, absent for popular items) and ``retrieved`` (its place among the candidates, from 1).

    Raises:
      UserError: parts do not belong together, the user id is of another type, or the context is unknown.
    """
    user, row = _user(question.user, dataset)
    _check_together(dataset, embeddings, index)
    trained = load_ranker(ranker, dataset)
    vocabulary = dataset.vocabulary(ITEM_ROW)
    known = row >= dataset.schema.user.oov_rows
    seen = np.empty(0, np.int64) if question.with_seen or not known else _engaged_with(dataset, row)
    if known:
        found_by = APPROXIMATE if APPROXIMATE in index.names and not question.exact else EXACT
        query = StageOneVectors(embeddings, dataset).users(np.array([row]))
        similarity, items = (found[0] for found in search(
            index.load(found_by), query, question.candidates + len(seen)))
        kept = (items >= 0) & ~np.isin(items, seen)
        similarity, items = similarity[kept][:question.candidates], items[kept][:question.candidates]
    else:
        found_by, similarity = "popularity", None
        items = np.arange(vocabulary.oov_rows, vocabulary.num_rows)
        items = items[np.argsort(-vocabulary.counts, kind="stable")][:question.candidates]
    found = find_features(dataset, trained.inputs.columns, user, items, question.context)
    scores = trained.score({name: tf.constant(values) for name, values in found.columns.items()}).numpy()[:, 0]
    order = np.argsort(-scores, kind="stable")[:question.top]
    return {
        "user": user, "known": bool(known), "found_by": found_by, "seen_left_out": len(seen),
        "candidates": len(items), "context": dict(question.context) | found.assumed,
        "notes": _of_another_run(ranker, embeddings) + _notes(question, known, found),
        "items": [_item(vocabulary, items, scores, similarity, place) for place in order.tolist()],
    }


def _user(text: str, dataset: Dataset) -> tuple[int | str, int]:
    """The raw id and its row."""
    dtype = dataset.schema.user.dtype
    try:
        user: int | str = int(text) if dtype == "int64" else text
        row = dataset.vocabulary(USER_ROW).lookup(pa.array([user], ARROW_TYPES[dtype]))[0]
    except (ValueError, OverflowError) as error:
        raise UserError(f"user id {text!r}: expected an integer of 64 bits, as column {dataset.schema.user.column!r} "
                        "of the logs holds") from error
    return user, int(row)


def _check_together(dataset: Dataset, embeddings: Embeddings, index: ItemIndex) -> None:
    """Rows, index and dataset must mean the same ids, and the index these very rows."""
    for table, digest in index.manifest["rows_digests"].items():
        came = embeddings.manifest["tables"][table]["rows_digest"]
        if digest != came:
            raise UserError(f"index {str(index.folder)!r} was made from other embeddings than "
                            f"{str(embeddings.folder)!r} (table {table!r}, digest {digest[:12]}, found {came[:12]}): "
                            "build it again with `tfrs-pretrain index`")
    for table, digest in dataset.digests.items():
        if table in embeddings.tables and embeddings.manifest["tables"][table]["vocabulary_digest"] != digest:
            raise UserError(f"embeddings {str(embeddings.folder)!r} were learnt for another vocabulary {table!r} than "
                            f"that of dataset {str(dataset.folder)!r}: name the dataset that they belong to")


def _of_another_run(ranker: Path, embeddings: Embeddings) -> list[str]:
    """That the ranker started from other rows than those that find its candidates, which may be meant."""
    start = read_manifest(ranker, RANKER_KIND)["embeddings"]
    tables = embeddings.manifest["tables"]
    if not start or all(table["rows_digest"] == tables[name]["rows_digest"] for name, table in start["tables"].items()
                        if name in tables):
        return []
    ours, theirs = (f"{of['start']} to {of['end']}" for of in (embeddings.manifest["window"], start["window"]))
    return ["ranker and index are of different runs: the ranker started from other pretrained rows (learnt from "
            f"{theirs}) than those that find its candidates ({ours})"]


def _engaged_with(dataset: Dataset, user_row: int) -> np.ndarray:
    """int64 [n]: rows of the items in the user's training pairs."""
    blocks = pair_blocks(dataset.files("pairs/train")).as_numpy_iterator()
    return np.unique(np.concatenate([np.empty(0, np.int64), *(
        block["candidate"][block["query"] == user_row].astype(np.int64) for block in blocks)]))


def _notes(question: Question, known: bool, found: Found) -> list[str]:
    notes = []
    if not known:
        notes.append(f"user {question.user} is not in the vocabulary: candidates are the most popular items, and the "
                     "ranker sees the row that unknown users share")
    if not found.user_seen:
        notes.append("no impression holds this user: their features are missing values")
    if found.unseen_items.any():
        notes.append(f"{found.unseen_items.sum()} of {len(found.unseen_items)} candidates were never shown: their "
                     "features are missing values")
    if found.assumed:
        values = ", ".join(f"{name}={'(missing)' if value is None else value}" for name, value in found.assumed.items())
        notes.append(f"context that nobody named takes its most frequent value: {values}")
    return notes


def _item(vocabulary: Vocabulary, items: np.ndarray, scores: np.ndarray, similarity: np.ndarray | None,
          place: int) -> dict[str, Any]:
    entry = {"item": vocabulary.ids[int(items[place]) - vocabulary.oov_rows].as_py(), "score": float(scores[place]),
             "retrieved": place + 1}
    return entry if similarity is None else entry | {"similarity": float(similarity[place])}
