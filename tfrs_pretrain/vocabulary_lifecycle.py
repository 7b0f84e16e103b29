"""The life cycle of ids from window to window: admission, expiry, eviction, and reuse of their rows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.id_arrays import joined, single_array
from tfrs_pretrain.lifecycle_rules import Eviction, LifecycleRules
from tfrs_pretrain.lifetimes import Lifetimes
from tfrs_pretrain.row_placement import place_ids
from tfrs_pretrain.vocabulary import Vocabulary


def begin(vocabulary: Vocabulary, end: int) -> Vocabulary:
    """Adds lifetimes to a vocabulary without: every id counts as seen in the window that ends at ``end``."""
    life = Lifetimes.of_first_window(vocabulary.counts, vocabulary.is_free, end)
    return Vocabulary(vocabulary.ids, vocabulary.counts, vocabulary.oov_rows, life, vocabulary.forgotten)


def advance(earlier: Vocabulary, ids: pa.Array | pa.ChunkedArray, counts: np.ndarray, end: int,
            rules: LifecycleRules, *, min_count: int = 1, max_size: int | None = None) -> Vocabulary:
    """Builds the vocabulary of a later window: ids that stay keep their row, rows of ids that leave are reused.

    The order of ``ids`` has no influence on the result.

    Args:
      earlier: vocabulary with lifetimes.
      ids: Arrow array [n] of the vocabulary's type, unique.
      counts: int64 [n], occurrences in the later window.
      end: of the later window.
      rules: which ids leave.
      min_count: occurrences that admit a new id.
      max_size: maximum number of ids (None: no limit).

    Raises:
      UserError: more ids than ``max_size`` stay and ``rules.eviction`` is None.
    """
    assert earlier.lifetimes is not None
    rows, counts = earlier.lookup(ids), np.asarray(counts, np.int64)
    is_known = rows >= earlier.oov_rows
    in_window = np.zeros(len(earlier.ids), np.int64)
    in_window[rows[is_known] - earlier.oov_rows] = counts[is_known]
    life = _in_next_window(earlier.lifetimes, in_window, end, rules.decay)
    new = Vocabulary.from_counts(ids.filter(pa.array(~is_known)), counts[~is_known], oov_rows=earlier.oov_rows,
                                 min_count=min_count)
    leaves = earlier.is_free | rules.expired(life.last, life.window_ends)
    retained = np.ones(new.num_ids, bool)
    if max_size is not None and len(leaves) - leaves.sum() + new.num_ids > max_size:
        leaves, retained = _within(max_size, earlier, life, leaves, new, rules.eviction)
    new_counts = new.counts[retained]
    placed, positions = place_ids(earlier.ids, leaves, new.ids.filter(pa.array(retained)))
    life = _with_new(life.with_freed(leaves), len(placed), positions, new_counts)
    return Vocabulary(single_array(placed), np.rint(life.decayed).astype(np.int64), earlier.oov_rows, life)


def _in_next_window(life: Lifetimes, counts: np.ndarray, end: int, decay: float) -> Lifetimes:
    window_ends = (*life.window_ends, end)
    last = np.where(counts > 0, np.int32(len(window_ends) - 1), life.last)
    return Lifetimes(decay * life.decayed + counts, life.first, last, window_ends)


def _with_new(life: Lifetimes, size: int, positions: np.ndarray, counts: np.ndarray) -> Lifetimes:
    added = size - len(life.first)
    decayed, first, last = (np.append(values, np.zeros(added, values.dtype))
                            for values in (life.decayed, life.first, life.last))
    decayed[positions], first[positions], last[positions] = counts, life.window, life.window
    return Lifetimes(decayed, first, last, life.window_ends)


def _within(max_size: int, earlier: Vocabulary, life: Lifetimes, leaves: np.ndarray, new: Vocabulary,
            eviction: Eviction | None) -> tuple[np.ndarray, np.ndarray]:
    """Chooses ``max_size`` ids of those that stay and the new ones.

    Returns:
      bool [n]: the position is free or its id leaves; bool [m]: the new id is admitted.
    """
    stays = np.flatnonzero(~leaves)
    if eviction is None:
        if len(stays) > max_size:
            raise UserError(f"the vocabulary to extend has {len(stays)} ids, more than max_size {max_size}, and each "
                            "would keep its row: raise max_size, set eviction, or build without --extend")
        return leaves, np.arange(new.num_ids) < max_size - len(stays)
    recency = np.concatenate([life.last[stays], np.full(new.num_ids, life.window)])
    frequency = np.concatenate([life.decayed[stays], new.counts])
    keys = {"recency": recency, "frequency": frequency} if eviction == "least_recent" else {
        "frequency": frequency, "recency": recency}
    table = pa.table({**keys, "is_new": np.arange(len(recency)) >= len(stays),
                      "id": joined(earlier.ids.take(pa.array(stays)), new.ids),
                      "number": np.arange(len(recency))})
    # Among equals, an id that has a row keeps it.
    order = table.sort_by([*((key, "descending") for key in keys), ("is_new", "ascending"), ("id", "ascending")])
    is_chosen = np.zeros(len(recency), bool)
    is_chosen[order["number"].to_numpy()[:max_size]] = True
    leaves = leaves.copy()
    leaves[stays[~is_chosen[:len(stays)]]] = True
    return leaves, is_chosen[len(stays):]
