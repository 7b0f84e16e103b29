"""Entries of ``results.json`` by slice: how often the item or the user occurs in the pretraining window."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from tfrs_pretrain.evaluation.comparison import Comparison
from tfrs_pretrain.evaluation.predictions import USER_COUNT, Predictions
from tfrs_pretrain.evaluation.slices import Slicing, by_frequency

ITEM_FREQUENCY, USER_FREQUENCY = "item_frequency", "user_frequency"

Slices = dict[str, list[dict[str, Any]]]


def frequency_slicings(predictions: Predictions) -> list[Slicing]:
    """Return the slicings by item and by user frequency, without empty slices; none if the predictions have no counts.
    """
    if ITEM_FREQUENCY not in predictions.slicings:
        return []
    users = by_frequency(predictions.table[USER_COUNT].to_numpy())
    slicings = [predictions.slicing(ITEM_FREQUENCY), dataclasses.replace(users, name=USER_FREQUENCY)]
    return [slicing.only([name for part, name in enumerate(slicing.parts) if len(slicing.positions(part))])
            for slicing in slicings]


def slice_entries(comparison: Comparison, auc: Callable[[int], Any]) -> Slices:
    """Return slicing -> one entry per slice: its counts, and ``auc`` of the index of its part."""
    entries: Slices = {}
    for index, part in enumerate(comparison.parts[1:], start=1):
        entries.setdefault(part.slicing, []).append({
            "slice": part.name, "impressions": part.impressions, "positives": part.positives, "users": part.users,
            "auc": auc(index)})
    return entries
