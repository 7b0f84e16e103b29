"""Stored predictions of a ranker: scored impressions with the columns needed to evaluate and slice them.

Columns: ``key``, ``user_id``, ``item_id``, ``user`` and ``item`` (table rows), ``label`` and ``score``,
``label_<name>`` and ``score_<name>`` of further heads (a label is NaN where it is missing), ``request`` if the schema
has one, ``weight`` if impressions are weighted, ``user_count`` and ``item_count`` (engagements in the pretraining
window), and ``feature.<name>``, the value as text, for each categorical feature. Reading them needs no TensorFlow.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import NotRequired, TypedDict

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tfrs_pretrain.artifact_names import EXTRA_ASSETS, PREDICTIONS_FOLDER, RANKER_KIND, SAVED_MODEL_KIND
from tfrs_pretrain.artifacts import artifact_file, has_manifest, read_manifest
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.evaluation.slices import Slicing, by_frequency, by_novelty
from tfrs_pretrain.json_documents import json_digest
from tfrs_pretrain.mapped_tables import read_parquet_mapped
from tfrs_pretrain.schema import ITEM_ID, ITEM_ROW, KEY, LABEL, REQUEST, USER_ID, USER_ROW, WEIGHT

SCORE, USER_COUNT, ITEM_COUNT, FEATURE = "score", "user_count", "item_count", "feature."
# Returns the predictions of a model folder for a split and a label: stored ones, or newly computed ones.
Reader = Callable[[Path, str, str], "Predictions"]
UNREAD = (ITEM_ID, ITEM_ROW, USER_ROW)  # columns that other readers of the file need
SLICINGS = ("item_frequency", "items", "users")


class Source(TypedDict):
    """Where predictions come from, as JSON.

    ``path`` is the folder that was named; ``ranker`` and ``version`` are present if it is an exported version;
    ``scored_on`` is present if the ranker scored another dataset than its own.
    """

    path: str
    arm: str
    ranker_digest: str
    dataset_digest: str
    ranker: NotRequired[str]
    version: NotRequired[int]
    scored_on: NotRequired[str]


@dataclasses.dataclass(frozen=True)
class Predictions:
    """Scored impressions of one model; create them with ``Predictions.open``.

    Attributes:
      source: the model and dataset that they come from.
      table: the columns that evaluation needs, mapped from temporary files.
      label: head to evaluate: "label" or the name of a further label.
      unlabelled: number of impressions that ``checked`` has left out because they have no such label.
    """

    source: Source
    table: pa.Table
    label: str = LABEL
    unlabelled: int = 0

    @classmethod
    def open(cls, folder: Path, split: str = "test", label: str = LABEL) -> Predictions:
        """Read the predictions of a ranker artifact, or of the ranker that an exported version was made from.

        Args:
          folder: a ranker, an exported version, or a model with numbered versions, of which the highest is used, as
            the server does.
          split: "validation" or "test".
          label: "label", or the name of a further label that the ranker predicts.

        Raises:
          UserError: there is no such artifact, it has no such predictions, they are damaged, or the ranker of a version
            is missing.
        """
        source, ranker = find_ranker(folder)
        path = ranker / PREDICTIONS_FOLDER / f"{split}.parquet"
        if not path.is_file():
            available = sorted(file.stem for file in path.parent.glob("*.parquet"))
            raise UserError(f"ranker {str(ranker)!r} has no predictions of split {split!r}, it has {available}: name "
                            "one of these, or train it again")
        path = artifact_file(ranker, RANKER_KIND, f"{PREDICTIONS_FOLDER}/{split}.parquet")
        try:
            names = [name for name in pq.read_schema(path).names if name not in UNREAD]
            table = read_parquet_mapped(path, names, dictionary=[USER_ID])
        except (OSError, pa.ArrowException) as error:
            raise UserError(f"predictions {str(path)!r} cannot be read ({' '.join(str(error).split())}): copy the "
                            "artifact again, or train again") from error
        return cls(source, table, label).checked()

    def checked(self) -> Predictions:
        """Return the impressions that have a label, after validation.

        Raises:
          UserError: a column that every evaluation needs is missing, or a score is not finite.
        """
        for column in (KEY, USER_ID, self._head_column(LABEL), self._head_column(SCORE)):
            if column not in self.table.column_names:
                raise UserError(f"predictions of {self.source['path']!r} have no column {column!r}: they predict "
                                f"{self.heads}")
        bad = np.flatnonzero(~np.isfinite(self.scores))
        if len(bad):
            raise UserError(f"predictions of {self.source['path']!r}: {len(bad)} scores are not finite, first for "
                            f"key {self.keys[bad[0]]}: train again")
        missing = np.isnan(self.labels)
        if not missing.any():
            return self
        return dataclasses.replace(self.take(np.flatnonzero(~missing)), unlabelled=int(missing.sum()))

    def _head_column(self, column: str) -> str:
        return column if self.label == LABEL else f"{column}_{self.label}"

    def _column(self, name: str) -> np.ndarray:
        values: np.ndarray = self.table[name].to_numpy()
        return values

    @property
    def heads(self) -> list[str]:
        """Labels that are predicted."""
        names = self.table.column_names
        return [LABEL, *(name.removeprefix(f"{SCORE}_") for name in names if name.startswith(f"{SCORE}_"))]

    @property
    def keys(self) -> np.ndarray:
        """int64 [n], the key of each impression."""
        return self._column(KEY)

    @property
    def labels(self) -> np.ndarray:
        """float32 [n] of 0 and 1."""
        return self._column(self._head_column(LABEL))

    @property
    def scores(self) -> np.ndarray:
        """float32 [n] probabilities."""
        return self._column(self._head_column(SCORE))

    @property
    def requests(self) -> np.ndarray | None:
        """int64 [n] request numbers; None if the dataset has no requests."""
        return self._column(REQUEST) if REQUEST in self.table.column_names else None

    @property
    def weights(self) -> np.ndarray | None:
        """float32 [n] weights of the impressions; None if each counts once."""
        return impression_weights(self.table)

    @functools.cached_property
    def users(self) -> np.ndarray:
        """int32 [n] user numbers from 0, in order of first appearance."""
        return user_numbers(self.table[USER_ID])

    def take(self, positions: np.ndarray) -> Predictions:
        """Select impressions by position, in the given order."""
        return dataclasses.replace(self, table=self.table.take(pa.array(positions)))

    @property
    def slicings(self) -> list[str]:
        """Names that ``slicing`` accepts."""
        names = self.table.column_names
        known = SLICINGS if {USER_COUNT, ITEM_COUNT} <= set(names) else ()
        return [*known, *(name.removeprefix(FEATURE) for name in names if name.startswith(FEATURE))]

    def slicing(self, name: str) -> Slicing:
        """Slice by item frequency, new items, new users or a categorical feature.

        Raises:
          UserError: the predictions have no column for it.
        """
        if name not in self.slicings:
            raise UserError(f"cannot slice {self.source['path']!r} by {name!r}: choose from {self.slicings}"
                            + ("" if self.slicings else ", or train again: these predictions are of an older version"))
        if name == "item_frequency":
            return by_frequency(self._column(ITEM_COUNT))
        if name in SLICINGS:
            return by_novelty(name, self._column(ITEM_COUNT if name == "items" else USER_COUNT))
        values = self.table[FEATURE + name].combine_chunks()
        codes, occurring = pd.factorize(values.indices.to_numpy(), sort=True)
        return Slicing(name, tuple(values.dictionary.take(pa.array(occurring)).to_pylist()), codes)


def align(one: Predictions, other: Predictions) -> tuple[Predictions, Predictions, list[str]]:
    """Restrict two models' predictions to the impressions that both scored, in the order of the first.

    Returns:
      both, and sentences about what differs.

    Raises:
      UserError: they share no impression, or a shared one has another label or user.
    """
    notes = []
    if one.source["dataset_digest"] != other.source["dataset_digest"]:
        notes.append("the models were evaluated on datasets of different builds")
    if not np.array_equal(one.keys, other.keys):
        positions = pd.Index(other.keys).get_indexer(one.keys)
        shared = np.flatnonzero(positions >= 0)
        if not len(shared):
            raise UserError(f"{one.source['path']!r} and {other.source['path']!r} share no impression: compare models "
                            "that were evaluated on one dataset and split")
        left_out = (len(positions) - len(shared), other.table.num_rows - len(shared))
        if any(left_out):
            notes.append(f"compared on the {len(shared):,} impressions that both scored; left out: {left_out[0]:,} of "
                         f"the first model's, {left_out[1]:,} of the second's")
        one, other = one.take(shared), other.take(positions[shared])
    different = (one.labels != other.labels) | (one.users != other.users)
    if different.any():
        raise UserError(f"{one.source['path']!r} and {other.source['path']!r} have another label or user for the same "
                        f"impression, first for key {one.keys[int(different.argmax())]}: they are from different "
                        "datasets")
    if not _equal(one.weights, other.weights):
        notes.append("the two datasets weight the impressions differently: metrics use the weights of the first")
    return one, other, notes


def user_numbers(user_ids: pa.ChunkedArray) -> np.ndarray:
    """Number user ids [n], given as they are or as a dictionary column: int32 [n] in order of first appearance."""
    is_encoded = pa.types.is_dictionary(user_ids.type)
    encoded = user_ids.unify_dictionaries() if is_encoded else user_ids.dictionary_encode()
    indices = pa.chunked_array([chunk.indices for chunk in encoded.chunks], pa.int32()).to_numpy()
    # The dictionary of a part of a column has the order of the whole column, and ids that do not occur in the part.
    numbers: np.ndarray = pd.factorize(indices)[0].astype(np.int32) if is_encoded else indices
    return numbers


def impression_weights(predictions: pa.Table) -> np.ndarray | None:
    """Return float32 [n] weights of the rows of a table; None if each counts once."""
    if WEIGHT not in predictions.column_names:
        return None
    weights: np.ndarray = predictions[WEIGHT].to_numpy()
    return None if (weights == 1).all() else weights


def _equal(one: np.ndarray | None, other: np.ndarray | None) -> bool:
    return one is other is None or (one is not None and other is not None and np.array_equal(one, other))


def find_ranker(folder: Path) -> tuple[Source, Path]:
    """Identify a model folder and locate the ranker artifact that has its predictions.

    Raises:
      UserError: the folder is neither a ranker nor an exported version, or the ranker of the version is missing or was
        replaced.
    """
    versions = [int(path.name) for path in folder.glob("*") if path.name.isdecimal() and (path / EXTRA_ASSETS).is_dir()]
    if versions:
        return find_ranker(folder / str(max(versions)))
    if not (folder / EXTRA_ASSETS).is_dir():
        manifest = read_manifest(folder, RANKER_KIND)
        return {"path": str(folder), "arm": manifest["arm"], "ranker_digest": json_digest(manifest),
                "dataset_digest": manifest["dataset_digest"]}, folder
    exported = read_manifest(folder / EXTRA_ASSETS, SAVED_MODEL_KIND)
    ranker = Path(exported.get("ranker", ""))
    what = f"version {str(folder)!r} was exported from ranker {str(ranker)!r} (arm {exported['arm']}, digest " \
           f"{exported['ranker_digest'][:12]})"
    if not has_manifest(ranker) or "ranker" not in exported:
        raise UserError(f"{what}, which no longer exists, and a version contains no predictions: name a copy of that "
                        "ranker instead")
    source, _ = find_ranker(ranker)
    if source["ranker_digest"] != exported["ranker_digest"]:
        raise UserError(f"{what}, but that folder now contains another ranker ({source['ranker_digest'][:12]}): name a "
                        "copy of the exported one instead")
    return {**source, "path": str(folder), "ranker": str(ranker), "version": exported["version"]}, ranker
