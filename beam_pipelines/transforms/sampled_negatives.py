"""Sampled negatives for logs without impressions, such as purchases: each row of such a log is a positive.

A negative is the item of an engagement drawn at random from ``popularity_days`` before the positive: an item is drawn
in proportion to its popularity at that time. What happens at or after the time of the positive never has an influence.
Items that the user engages with at that time are excluded, and with ``repeats: exclude`` those of earlier engagements,
also as positives: otherwise an earlier engagement would tell the label. Items that the user engages with later are
not excluded: without them, the training labels would tell which items those are.

A hash of the seed and the positive's columns determines its draws, so that they depend neither on the order of the
rows nor on the runner.
"""

import functools
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from beam_pipelines.jobs.job import Job
from beam_pipelines.logs.keys import END, TIME, event_hash
from beam_pipelines.logs.times import MICROSECONDS
from beam_pipelines.records.partitions import partition
from beam_pipelines.transforms.user_buckets import AssignUserBuckets
from tfrs_pretrain.config import ImplicitFeedback
from tfrs_pretrain.features.base import Feature
from tfrs_pretrain.hashing import combine, fraction, hash_ids, mix
from tfrs_pretrain.schema import ITEM_ID, LABEL, USER_ID

ENGAGED = "@engaged"  # replaces the split of engagements
CANDIDATES = "@candidates"
SPARE_DRAWS = 5  # draws per negative: repeated and known items are dropped

Batches = Iterable[tuple[str, pa.RecordBatch]]


class AddSampledNegatives(beam.PTransform):
    """Adds label 1 to cleaned batches of positives, and their sampled negatives as rows with label 0.

    A negative has the user, time, request and context features of its positive. Two groupings limit the memory: by
    span of ``popularity_days``, of which a worker loads the engagements of two; and by bucket of users.

    Args:
      job: settings and number of buckets.
      engagements: cleaned engagements of all times, ``(split, batch)``.
    """

    def __init__(self, job: Job, engagements: beam.PCollection[tuple[str, pa.RecordBatch]]):
        super().__init__()
        self._job, self._engagements = job, engagements

    def expand(
        self, positives: beam.PCollection[tuple[str, pa.RecordBatch]]
    ) -> beam.PCollection[tuple[str, pa.RecordBatch]]:
        feedback = self._job.config.dataset.implicit_feedback
        assert feedback is not None
        span = round(feedback.popularity_days * MICROSECONDS["day"])
        keyed = tuple[int, tuple[str, pa.RecordBatch]]
        events = self._engagements | "SelectEvents" >> beam.MapTuple(_select_event).with_output_types(
            tuple[str, pa.RecordBatch])
        with_candidates = (
            (events, positives)
            | "MergeEventsAndPositives" >> beam.Flatten()
            | "AssignSpans" >> beam.FlatMapTuple(functools.partial(_assign_spans, span=span)).with_output_types(keyed)
            | "GroupBySpan" >> beam.GroupByKey()
            | "DrawCandidates" >> beam.FlatMap(functools.partial(
                _draw_candidates, span=span, num_draws=SPARE_DRAWS * feedback.negatives_per_positive,
                seed=feedback.seed, context=self._job.impressions.context_features)).with_output_types(
                    tuple[str, pa.RecordBatch])
        )
        return (
            (events, with_candidates)
            | "MergeEventsAndCandidates" >> beam.Flatten()
            | "AssignBuckets" >> AssignUserBuckets(self._job.num_buckets)
            | "GroupByBucket" >> beam.GroupByKey()
            | "AddNegatives" >> beam.FlatMap(_add_negatives, feedback).with_output_types(
                tuple[str, pa.RecordBatch])
        )


def _select_event(_: str, batch: pa.RecordBatch) -> tuple[str, pa.RecordBatch]:
    return ENGAGED, batch.select([USER_ID, ITEM_ID, TIME, END])


def _assign_spans(split: str, batch: pa.RecordBatch, span: int) -> Iterator[tuple[int, tuple[str, pa.RecordBatch]]]:
    """Yields a positive in its span, and an engagement in its own and the next, where it may be drawn."""
    numbers = batch[END if split == ENGAGED else TIME].to_numpy() // span
    for number, part in partition(batch, numbers):
        for target in (number, number + 1) if split == ENGAGED else (number,):
            yield target, (split, part)


def _draw_candidates(group: tuple[int, Batches], span: int, num_draws: int, seed: int, context: tuple[Feature, ...]
                     ) -> Iterator[tuple[str, pa.RecordBatch]]:
    # Two passes: the values of a key may exceed the memory; the runner reads them again from its storage.
    events = [batch for split, batch in group[1] if split == ENGAGED]
    recent = RecentItems(pa.Table.from_batches(events), span) if events else None
    for split, batch in group[1]:
        if split != ENGAGED:
            candidates = recent.draw(batch[TIME].to_numpy(), draws(batch, num_draws, seed, context)) if recent else (
                pa.array([[]] * batch.num_rows, pa.list_(batch[ITEM_ID].type)))
            yield split, batch.append_column(CANDIDATES, candidates)


def draws(batch: pa.RecordBatch, num_draws: int, seed: int, context: Iterable[Feature] = ()) -> np.ndarray:
    """Returns float64 [n, num_draws] in [0, 1): the draws of n positives, determined by their columns and the seed."""
    hashes = combine(event_hash(batch, context), hash_ids(np.array([seed])))
    return fraction(mix(hashes[:, None] + np.arange(num_draws, dtype=np.uint64)))


class RecentItems:
    """Items of engagements in the order of time, to draw from.

    Args:
      events: columns item_id and @end (int64).
      span: length of the time to draw from, in the unit of @end.
    """

    def __init__(self, events: pa.Table, span: int):
        # Engagements of one time are ordered by item, to be deterministic.
        ordered = events.select([ITEM_ID, END]).sort_by([(END, "ascending"), (ITEM_ID, "ascending")])
        self._items, self._ends, self._span = ordered[ITEM_ID].combine_chunks(), ordered[END].to_numpy(), span

    def draw(self, times: np.ndarray, numbers: np.ndarray) -> pa.ListArray:
        """Draws items of engagements in ``[time - span, time)``.

        Args:
          times: int64 [n].
          numbers: float64 [n, k] in [0, 1).

        Returns:
          Lists [n] of k items; empty without such an engagement.
        """
        first, end = np.searchsorted(self._ends, times - self._span), np.searchsorted(self._ends, times)
        places = first[:, None] + (numbers * (end - first)[:, None]).astype(np.int64)
        lengths = np.where(end > first, numbers.shape[1], 0)
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        drawn = self._items.take(pa.array(places[end > first].ravel()))
        return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), drawn)


def _add_negatives(bucket: tuple[int, Batches], feedback: ImplicitFeedback) -> Iterator[tuple[str, pa.RecordBatch]]:
    # The positives may be missing in the engagement log.
    known = KnownItems(pa.Table.from_batches([batch.select([USER_ID, ITEM_ID, TIME]) for _, batch in bucket[1]]))
    for split, batch in bucket[1]:
        if split != ENGAGED:
            labelled = with_negatives(batch, known, feedback)
            if labelled.num_rows:
                yield split, labelled


class KnownItems:
    """The engagements of each user with each item, sorted by user, item and time.

    Args:
      events: columns user_id, item_id and @time (int64).
    """

    def __init__(self, events: pa.Table):
        user_codes, users = pd.factorize(events[USER_ID].to_numpy())
        item_codes, items = pd.factorize(events[ITEM_ID].to_numpy())
        self._users, self._items = pd.Index(users), pd.Index(items)
        self._pairs, pair_codes = np.unique(user_codes * len(items) + item_codes, return_inverse=True)
        self._times, time_codes = np.unique(events[TIME].to_numpy(), return_inverse=True)
        # Sort key of an engagement: user and item, then rank of its time.
        self._keys = np.unique(pair_codes * len(self._times) + time_codes)

    def num_before(self, users: pa.Array, items: pa.Array, times: np.ndarray) -> np.ndarray:
        """Counts the different times before a time at which the user engaged with the item: int64 [n]."""
        user_codes = self._users.get_indexer(pd.Index(users.to_numpy(zero_copy_only=False)))
        item_codes = self._items.get_indexer(pd.Index(items.to_numpy(zero_copy_only=False)))
        pairs = np.where((user_codes < 0) | (item_codes < 0), -1, user_codes * len(self._items) + item_codes)
        codes = np.searchsorted(self._pairs, pairs)
        found = self._pairs[np.minimum(codes, len(self._pairs) - 1)] == pairs
        first = codes * len(self._times)
        ends = np.searchsorted(self._keys, first + np.searchsorted(self._times, times))
        return np.where(found, ends - np.searchsorted(self._keys, first), 0)


def with_negatives(batch: pa.RecordBatch, known: KnownItems, feedback: ImplicitFeedback) -> pa.RecordBatch:
    """Adds the label and the negatives of n positives: the first candidates that are neither known nor repeated.

    Args:
      batch: columns of a cleaned batch, and CANDIDATES.
      known: what the users engaged with.
      feedback: handling of repeats, and the maximum number of negatives of a positive.

    Returns:
      The positives, then the negatives.
    """
    if feedback.repeats == "exclude":
        batch = batch.filter(pa.array(known.num_before(batch[USER_ID], batch[ITEM_ID], batch[TIME].to_numpy()) == 0))
    candidates, positives = batch[CANDIDATES], batch.drop_columns([CANDIDATES])
    parents, items = pc.list_parent_indices(candidates), candidates.flatten()
    users, times = batch[USER_ID].take(parents), batch[TIME].take(parents).to_numpy()
    known_items = known.num_before(users, items, times + 1)
    if feedback.repeats == "include":
        known_items -= known.num_before(users, items, times)
    chosen = _first_distinct(parents.to_numpy(), items, known_items == 0, feedback.negatives_per_positive)
    negatives = positives.take(parents.take(pa.array(chosen)))
    place = negatives.schema.get_field_index(ITEM_ID)
    negatives = negatives.set_column(place, ITEM_ID, items.take(pa.array(chosen)))
    return pa.concat_batches([_labelled(positives, 1), _labelled(negatives, 0)])


def _first_distinct(parents: np.ndarray, items: pa.Array, eligible: np.ndarray, limit: int) -> np.ndarray:
    """Returns the places, ascending, of the first ``limit`` different eligible items of each parent."""
    frame = pd.DataFrame({"parent": parents, "item": items.to_numpy(zero_copy_only=False)})[eligible].drop_duplicates()
    places: np.ndarray = frame.index.to_numpy()[frame.groupby("parent").cumcount().to_numpy() < limit]
    return places


def _labelled(batch: pa.RecordBatch, label: int) -> pa.RecordBatch:
    columns: dict[str, Any] = dict(zip(batch.schema.names, batch.columns, strict=True))
    return pa.RecordBatch.from_pydict(columns | {LABEL: pa.array(np.full(batch.num_rows, label, np.float32))})
