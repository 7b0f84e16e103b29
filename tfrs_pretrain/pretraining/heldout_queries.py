"""The held-out users on whom Stage I is evaluated."""

from __future__ import annotations

import dataclasses

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
    """

    users: np.ndarray
    relevant: Interactions
    seen: Interactions
    relations: dict[str, Interactions]


@dataclasses.dataclass(frozen=True)
class _KnownPairs:
    """Pairs inside the vocabularies: int64 [n] user rows, items numbered from 0, relations (0 if there are none)."""

    users: np.ndarray
    items: np.ndarray
    relations: np.ndarray


def select_queries(dataset: Dataset, maximum: int) -> HeldoutQueries:
    """Select at most ``maximum`` known users with a known held-out item: those whose row has the smallest hash."""
    heldout = _known_pairs(dataset, "pairs/heldout", None)
    candidates = np.unique(heldout.users)
    users = np.sort(candidates[np.argsort(hash_ids(candidates), kind="stable")[:maximum]])
    is_selected = np.zeros(dataset.num_rows("user"), bool)
    is_selected[users] = True
    train = _known_pairs(dataset, "pairs/train", is_selected)
    seen = Interactions.from_pairs(np.searchsorted(users, train.users), train.items, len(users))

    def relevant(mask: np.ndarray) -> Interactions:
        query = np.searchsorted(users, heldout.users[mask])
        return Interactions.from_pairs(query, heldout.items[mask], len(users)).without(seen)

    of_selected = is_selected[heldout.users]
    return HeldoutQueries(users, relevant(of_selected), seen,
                          {name: relevant(of_selected & (heldout.relations == number))
                           for number, name in enumerate(dataset.relations)})


def _known_pairs(dataset: Dataset, split: str, is_selected: np.ndarray | None) -> _KnownPairs:
    """The pairs of a split inside the vocabularies; with ``is_selected``, a mask of user rows, those of these users."""
    first_user, first_item = dataset.schema.user.oov_rows, dataset.schema.item.oov_rows
    free = dataset.vocabulary("item").free
    blocks = [np.empty((3, 0), np.int64)]
    for block in pair_blocks(dataset.files(split), pair_columns(dataset.schema)).as_numpy_iterator():
        user, item = block["query"], block["candidate"]
        mask = (user >= first_user) & (item >= first_item)
        if is_selected is not None:
            mask &= is_selected[user]
        relation = block.get("relation", np.zeros_like(user))
        items = item - first_item - np.searchsorted(free, item)
        blocks.append(np.stack([user, items, relation])[:, mask].astype(np.int64))
    return _KnownPairs(*np.concatenate(blocks, axis=1))
