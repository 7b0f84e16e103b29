"""The held-out users on whom Stage I is evaluated."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from tfrs_pretrain.data.dataset import Dataset, pair_columns
from tfrs_pretrain.data.pairs import pair_blocks
from tfrs_pretrain.hashing import hash_ids
from tfrs_pretrain.metrics.interactions import Interactions


@dataclasses.dataclass(frozen=True)
class HeldoutQueries:
    """Held-out users and the items that they engaged with; items are numbered from 0 without shared and free rows.

    Attributes:
      users: int64 [queries], rows of the user table.
      relevant: held-out items that the user does not have in training.
      seen: training items.
      relations: relation -> the relevant items of that relation; empty for pairs without relations.
      eligible: number of users from whom these were chosen.
    """

    users: np.ndarray
    relevant: Interactions
    seen: Interactions
    relations: dict[str, Interactions]
    eligible: int


@dataclasses.dataclass(frozen=True)
class _KnownPairs:
    """Pairs inside the vocabularies: int64 [n] user rows, items numbered from 0, relations (0 if there are none)."""

    users: np.ndarray
    items: np.ndarray
    relations: np.ndarray


def select_queries(dataset: Dataset, maximum: int) -> HeldoutQueries:
    """Select at most ``maximum`` known users with a known held-out item: those whose row has the smallest hash.

    Memory: 2 bytes per user row, and 48 per pair of the selected users.
    """
    is_candidate = np.zeros(dataset.num_rows("user"), bool)
    for pairs in _known_blocks(dataset, "pairs/heldout"):
        is_candidate[pairs.users] = True
    candidates = np.flatnonzero(is_candidate)
    users = np.sort(candidates[np.argsort(hash_ids(candidates), kind="stable")[:maximum]])
    is_selected = np.zeros(dataset.num_rows("user"), bool)
    is_selected[users] = True
    heldout, train = (_pairs_of(dataset, f"pairs/{split}", is_selected) for split in ("heldout", "train"))
    seen = Interactions.from_pairs(np.searchsorted(users, train.users), train.items, len(users))

    def relevant(mask: np.ndarray) -> Interactions:
        query = np.searchsorted(users, heldout.users[mask])
        return Interactions.from_pairs(query, heldout.items[mask], len(users)).without(seen)

    relations = {name: relevant(heldout.relations == number) for number, name in enumerate(dataset.relations)}
    return HeldoutQueries(users, relevant(np.ones(len(heldout.users), bool)), seen, relations, len(candidates))


def _pairs_of(dataset: Dataset, split: str, is_selected: np.ndarray) -> _KnownPairs:
    """The pairs inside the vocabularies of the users that bool [user rows] selects."""
    parts = [np.empty((3, 0), np.int64)]
    for pairs in _known_blocks(dataset, split):
        parts.append(np.stack(dataclasses.astuple(pairs))[:, is_selected[pairs.users]])
    return _KnownPairs(*np.concatenate(parts, axis=1))


def _known_blocks(dataset: Dataset, split: str) -> Iterator[_KnownPairs]:
    """The pairs of a split inside the vocabularies, block by block."""
    first_user, first_item = dataset.schema.user.oov_rows, dataset.schema.item.oov_rows
    free = dataset.vocabulary("item").free
    for block in pair_blocks(dataset.files(split), pair_columns(dataset.schema)).as_numpy_iterator():
        user, item = block["query"], block["candidate"]
        mask = (user >= first_user) & (item >= first_item)
        relation = block.get("relation", np.zeros_like(user))
        items = item - first_item - np.searchsorted(free, item)
        yield _KnownPairs(*(values[mask].astype(np.int64) for values in (user, items, relation)))
