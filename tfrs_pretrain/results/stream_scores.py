"""Read the predictions of all rankers of a stream, matched by impression."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from tfrs_pretrain.artifact_names import PREDICTIONS_FOLDER, RANKER_KIND
from tfrs_pretrain.artifacts import artifact_file
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.evaluation.clustered import CLUSTERED_METRICS, Influence, influence
from tfrs_pretrain.evaluation.predictions import ITEM_COUNT, USER_COUNT, Predictions
from tfrs_pretrain.evaluation.slices import Slicing, by_frequency, by_novelty
from tfrs_pretrain.schema import ITEM_ROW, KEY
from tfrs_pretrain.stream_study import StreamStudy

SPLIT = "validation"  # whose place the judged window takes
AGE_STARTS = (0, 1, 3, 8)  # first age of each part, in windows


@dataclasses.dataclass(frozen=True)
class JudgedWindow:
    """The impressions of one judged window, and the scores of every ranker.

    Attributes:
      labels, users: [n] of the impressions.
      weights: float [n]; None counts each once.
      scores: arm -> seed -> float32 [n] probabilities.
      slicings: by item frequency, item age, new items and new users.
    """

    labels: np.ndarray
    users: np.ndarray
    weights: np.ndarray | None
    scores: Mapping[str, Mapping[int, np.ndarray]]
    slicings: Sequence[Slicing]

    def influences(self, metric: str, arm: str, seeds: Sequence[int]) -> list[Influence]:
        """Return a metric of an arm's rankers, by seed."""
        return [influence(metric, self.labels, self.scores[arm][seed], self.weights) for seed in seeds]

    def metrics(self, arm: str, seed: int) -> dict[str, float]:
        """Return the metrics of one ranker by name."""
        return {metric: influence(metric, self.labels, self.scores[arm][seed], self.weights).value
                for metric in CLUSTERED_METRICS}


def read_window(study: StreamStudy, position: int) -> JudgedWindow:
    """Read the predictions of all rankers of a window.

    Args:
      study: the stream.
      position: number of the ranker's window, from 0.

    Raises:
      UserError: predictions are missing or damaged, or two rankers scored other impressions.
    """
    reference: Predictions | None = None
    rows, keys, dataset = np.empty(0), np.empty(0), Path()
    scores: dict[str, dict[int, np.ndarray]] = {}
    for arm in sorted(study.arms, key=lambda each: each.name != study.baseline):
        for seed, steps in arm.runs.items():
            step = steps[position]
            predictions = Predictions.open(step.ranker, SPLIT)
            order = np.argsort(predictions.keys, kind="stable")
            if reference is None:
                reference, keys, dataset = predictions.take(order), predictions.keys[order], step.dataset
                rows = _rows(step.ranker, predictions.keys)[order]
            elif not np.array_equal(keys, predictions.keys[order]):
                raise UserError(f"{str(step.ranker)!r} was judged on other impressions than {study.baseline!r}: "
                                "remove the folder of the stream's pieces, and run it again")
            scores.setdefault(arm.name, {})[seed] = predictions.scores[order]
    assert reference is not None  # the baseline has a run
    return JudgedWindow(reference.labels, reference.users, reference.weights, scores,
                        _slicings(reference, rows, Dataset.open(dataset)))


def _rows(ranker: Path, labelled: np.ndarray) -> np.ndarray:
    """Return int64 [n], the rows of the items of the impressions with these keys, in their order."""
    path = artifact_file(ranker, RANKER_KIND, f"{PREDICTIONS_FOLDER}/{SPLIT}.parquet")
    table = pq.read_table(path, columns=[KEY, ITEM_ROW])
    keys = table[KEY].to_numpy()
    order = np.argsort(keys)
    rows: np.ndarray = table[ITEM_ROW].to_numpy()[order[np.searchsorted(keys, labelled, sorter=order)]]
    return rows


def _slicings(predictions: Predictions, item_rows: np.ndarray, dataset: Dataset) -> list[Slicing]:
    counts = {name: predictions.table[name].to_numpy() for name in (ITEM_COUNT, USER_COUNT)}
    slicings = [by_frequency(counts[ITEM_COUNT]), by_novelty("items", counts[ITEM_COUNT]),
                by_novelty("users", counts[USER_COUNT])]
    return [*slicings, *_by_age(item_rows, dataset)]


def _by_age(item_rows: np.ndarray, dataset: Dataset) -> list[Slicing]:
    """Slice by the windows since the item was admitted; none if the vocabulary has no life cycle."""
    vocabulary = dataset.vocabulary(ITEM_ROW)
    lifetimes = vocabulary.lifetimes
    if lifetimes is None:
        return []
    ages = np.append(np.full(vocabulary.oov_rows, -1), lifetimes.window - lifetimes.first)[item_rows]
    names = [f"{first}+" if last is None else str(first) if first == last else f"{first}-{last}"
             for first, last in zip(AGE_STARTS, [*(start - 1 for start in AGE_STARTS[1:]), None], strict=True)]
    return [Slicing("item_age", ("no row", *names), np.searchsorted(AGE_STARTS, ages, side="right"))]
