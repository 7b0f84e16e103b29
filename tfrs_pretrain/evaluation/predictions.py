"""The stored predictions of a ranker: scored impressions and what it takes to judge and to slice them.

Columns: key, user_id, item_id, user and item (rows), label and score, ``label_<name>`` and ``score_<name>`` of further
heads, request where the schema has one, user_count and item_count (engagements in the pretraining window), and
``feature.<name>`` for each categorical feature, with values as text. They are read without TensorFlow.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tfrs_pretrain.artifacts import MANIFEST, json_digest, read_manifest
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.evaluation.slices import Slicing, by_frequency, by_novelty
from tfrs_pretrain.schema import ITEM_ID, ITEM_ROW, KEY, LABEL, REQUEST, USER_ID, USER_ROW

SCORE, USER_COUNT, ITEM_COUNT, FEATURE = "score", "user_count", "item_count", "feature."
# Gives the predictions of a folder for a split and a label: those that were stored, or new ones.
Reader = Callable[[Path, str, str], "Predictions"]
EXTRA = "assets.extra"  # of an exported version
UNREAD = (ITEM_ID, ITEM_ROW, USER_ROW)  # for other readers of the file
SLICINGS = ("item_frequency", "items", "users")


@dataclasses.dataclass(frozen=True)
class Predictions:
    """Scored impressions of one model. Make them with ``Predictions.open``.

    Attributes:
      source: what was opened: path, arm, digests, and the version if it was an exported one.
      table: the columns that are needed.
      label: which head: "label" or the name of a further label.
    """

    source: dict[str, Any]
    table: pa.Table
    label: str = LABEL

    @classmethod
    def open(cls, folder: Path, split: str = "test", label: str = LABEL) -> Predictions:
        """Reads the predictions of a ranker artifact, or of the ranker that an exported version was made from.

        Args:
          folder: of the ranker, of an exported version, or of a model with numbered versions (the highest counts, as
            it does for the server).
          split: "validation" or "test".
          label: "label", or the name of a further label that the ranker predicts.

        Raises:
          UserError: there is no such artifact, it has no such predictions, or the ranker of a version is gone.
        """
        source, ranker = find_ranker(folder)
        path = ranker / "predictions" / f"{split}.parquet"
        if not path.is_file():
            there = sorted(file.stem for file in path.parent.glob("*.parquet"))
            raise UserError(f"ranker {str(ranker)!r} has no predictions of split {split!r}, it has {there}: name one "
                            "of these, or train it again")
        try:
            names = [name for name in pq.read_schema(path).names if name not in UNREAD]
            table = pq.read_table(path, columns=names)
        except (OSError, pa.ArrowException) as error:
            raise UserError(f"predictions {str(path)!r} cannot be read ({' '.join(str(error).split())}): copy the "
                            "artifact again, or train again") from error
        return cls(source, table, label).checked()

    def checked(self) -> Predictions:
        """Itself.

        Raises:
          UserError: a column is missing that every judgement needs, or a score is no number.
        """
        for column in (KEY, USER_ID, self._of_head(LABEL), self._of_head(SCORE)):
            if column not in self.table.column_names:
                raise UserError(f"predictions of {self.source['path']!r} have no column {column!r}: they predict "
                                f"{self.heads}")
        wrong = np.flatnonzero(~np.isfinite(self.scores))
        if len(wrong):
            raise UserError(f"predictions of {self.source['path']!r}: {len(wrong)} scores are no numbers, first for "
                            f"key {self.keys[wrong[0]]}: train again")
        return self

    def _of_head(self, column: str) -> str:
        return column if self.label == LABEL else f"{column}_{self.label}"

    @property
    def heads(self) -> list[str]:
        """Labels that are predicted."""
        names = self.table.column_names
        return [LABEL, *(name.removeprefix(f"{SCORE}_") for name in names if name.startswith(f"{SCORE}_"))]

    @property
    def keys(self) -> np.ndarray:
        """int64 [n], one an impression."""
        return self.table[KEY].to_numpy()

    @property
    def labels(self) -> np.ndarray:
        """float32 [n]."""
        return self.table[self._of_head(LABEL)].to_numpy()

    @property
    def scores(self) -> np.ndarray:
        """float32 [n] probabilities."""
        return self.table[self._of_head(SCORE)].to_numpy()

    @property
    def requests(self) -> np.ndarray | None:
        """int64 [n]; None where the dataset names no requests."""
        return self.table[REQUEST].to_numpy() if REQUEST in self.table.column_names else None

    @functools.cached_property
    def users(self) -> np.ndarray:
        """int32 [n] from 0, in order of first appearance."""
        return self.table[USER_ID].combine_chunks().dictionary_encode().indices.to_numpy(zero_copy_only=False)

    def take(self, rows: np.ndarray) -> Predictions:
        """Some impressions, in the order of ``rows``."""
        return dataclasses.replace(self, table=self.table.take(pa.array(rows)))

    @property
    def slicings(self) -> list[str]:
        """What the impressions can be cut by."""
        names = self.table.column_names
        known = SLICINGS if {USER_COUNT, ITEM_COUNT} <= set(names) else ()
        return [*known, *(name.removeprefix(FEATURE) for name in names if name.startswith(FEATURE))]

    def slicing(self, name: str) -> Slicing:
        """Cuts by item frequency, new items, new users or a categorical feature.

        Raises:
          UserError: there is nothing of this name to cut by.
        """
        if name not in self.slicings:
            raise UserError(f"cannot slice {self.source['path']!r} by {name!r}: choose from {self.slicings}"
                            + ("" if self.slicings else ", or train again: these predictions are of an older version"))
        if name == "item_frequency":
            return by_frequency(self.table[ITEM_COUNT].to_numpy())
        if name in SLICINGS:
            return by_novelty(name, self.table[ITEM_COUNT if name == "items" else USER_COUNT].to_numpy())
        values = self.table[FEATURE + name].combine_chunks()
        codes, kept = pd.factorize(values.indices.to_numpy(), sort=True)
        return Slicing(name, tuple(values.dictionary.take(pa.array(kept)).to_pylist()), codes)


def align(one: Predictions, other: Predictions) -> tuple[Predictions, Predictions, list[str]]:
    """Both on the impressions that they share, in the order of the first, and what differs, in sentences.

    Raises:
      UserError: they share no impression, or a shared one has another label or user.
    """
    notes = []
    if one.source["dataset_digest"] != other.source["dataset_digest"]:
        notes.append("the models were judged on datasets of different builds")
    if not np.array_equal(one.keys, other.keys):
        places = pd.Index(other.keys).get_indexer(one.keys)
        shared = np.flatnonzero(places >= 0)
        if not len(shared):
            raise UserError(f"{one.source['path']!r} and {other.source['path']!r} share no impression: compare models "
                            "that were judged on one dataset and split")
        left_out = (len(places) - len(shared), other.table.num_rows - len(shared))
        if any(left_out):
            notes.append(f"compared on the {len(shared):,} impressions that both scored; left out: {left_out[0]:,} of "
                         f"the first model's, {left_out[1]:,} of the second's")
        one, other = one.take(shared), other.take(places[shared])
    different = (one.labels != other.labels) | (one.users != other.users)
    if different.any():
        raise UserError(f"{one.source['path']!r} and {other.source['path']!r} have another label or user for the same "
                        f"impression, first for key {one.keys[int(different.argmax())]}: they are not of one dataset")
    return one, other, notes


def find_ranker(folder: Path) -> tuple[dict[str, Any], Path]:
    """What a folder is (path, arm, digests, version), and the ranker whose predictions stand for it.

    Raises:
      UserError: it is neither a ranker nor an exported version, or the ranker of the version is gone.
    """
    versions = [int(path.name) for path in folder.glob("*") if path.name.isdecimal() and (path / EXTRA).is_dir()]
    if versions:
        return find_ranker(folder / str(max(versions)))
    if not (folder / EXTRA).is_dir():
        manifest = read_manifest(folder, "ranker")
        return {"path": str(folder), "arm": manifest["arm"], "ranker_digest": json_digest(manifest),
                "dataset_digest": manifest["dataset_digest"]}, folder
    exported = read_manifest(folder / EXTRA, "saved_model")
    ranker = Path(exported.get("ranker", ""))
    what = f"version {str(folder)!r} was exported from ranker {str(ranker)!r} (arm {exported['arm']}, digest " \
           f"{exported['ranker_digest'][:12]})"
    if not (ranker / MANIFEST).is_file() or "ranker" not in exported:
        raise UserError(f"{what}, which is not there any more, and a version holds no predictions: name a copy of "
                        "that ranker instead")
    source, _ = find_ranker(ranker)
    if source["ranker_digest"] != exported["ranker_digest"]:
        raise UserError(f"{what}, but that folder now holds another ranker ({source['ranker_digest'][:12]}): name a "
                        "copy of the exported one instead")
    return source | {"path": str(folder), "ranker": str(ranker), "version": exported["version"]}, ranker
