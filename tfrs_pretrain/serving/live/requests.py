"""Places of the ids of a request."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from tfrs_pretrain.serving.live.entries import Entries, place_of
from tfrs_pretrain.serving.live.epochs import Epochs
from tfrs_pretrain.serving.live.places import LiveLookup

Wanted = Sequence[tuple[LiveLookup, tf.Tensor]]  # lookup of a vocabulary, raw ids [n]


def find_places(wanted: Wanted, entries: Entries, epochs: Epochs) -> list[tf.Tensor]:
    """Finds the places of all ids of a request at once.

    Beside the look-up of each vocabulary, a request needs one gather and one comparison, unless it comes while an
    update is written, or contains an id that is gone or, after an update has added ids, one that the base version does
    not have.

    Args:
      wanted: lookups and ids.
      entries: entries of the base version.
      epochs: epochs of the model.

    Returns:
      For each int64 [n], the places that the request uses.
    """
    parts = [lookup.positions(ids) for lookup, ids in wanted]
    positions = tf.concat(parts, 0)
    with tf.control_dependencies([epochs.current()]):
        found = entries.at(positions)
    seen = tf.cond(entries.are_plain(found), lambda: tf.identity(found),
                   lambda: _resolved(wanted, entries, positions, found))
    sizes = tf.stack([tf.size(each) for each in parts])
    places: list[tf.Tensor] = tf.split(place_of(seen), sizes, num=len(parts))
    for each, (_, ids) in zip(places, wanted, strict=True):
        each.set_shape(ids.shape)
    return places


def _resolved(wanted: Wanted, entries: Entries, positions: tf.Tensor, found: tf.Tensor) -> tf.Tensor:
    """Returns int64 [n], entries as the request sees them; unknown ids have those of shared rows."""
    added = tf.concat([lookup.added_entries(ids) for lookup, ids in wanted], 0)
    shared = entries.at(tf.concat([lookup.shared_positions(ids) for lookup, ids in wanted], 0))
    own = entries.resolve(tf.where(entries.is_base(positions), found, added))
    return tf.where(own > 0, own, entries.resolve(shared))
