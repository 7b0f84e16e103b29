"""What a network of the ranker is: a Keras model or layer from gathered features to logits.

``network(features, training=...)`` returns float [batch, heads] logits, one for each label. ``features`` maps names to
tensors. There is an entry for each input of the ranker:

========== ============================ =====================================================================
name       tensor                       contents
========== ============================ =====================================================================
user, item float32 [batch, dim]         rows of the ID tables
F          float32 [batch, width]       row of categorical feature F
L          float32 [batch, length, dim] rows of list feature L or of ``history``; the length varies up to the
                                        configured one
L.mask     bool [batch, length]         false where L is padded; the padded rows have arbitrary content
numeric    float32 [batch, n]           numeric features in the order of the schema, normalized
similarity float32 [batch, k]           ``ranking.similarity`` of the user and item rows
fresh_user float32 [batch, width]       rows of the second tables of ``fresh_dim`` (also fresh_item)
========== ============================ =====================================================================

A network that also derives from a mix-in of this module declares that it accepts features in further forms, which are
cheaper. It must return the same logits for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

MASK = ".mask"  # names of inputs contain no dot
Shape = tuple[int | None, ...]


class OneUserRow:
    """Mix-in of a network that accepts inputs of the user with one row, [1, ...], beside those of n items, [n, ...].

    ``rank`` then computes what depends only on the user once; otherwise it repeats the user's rows for each item. A
    network that adds or multiplies outputs of both sides by TensorFlow's broadcasting needs nothing else. If ``call``
    has a parameter ``sides``, it receives three tuples of names: inputs of the user, of the context and of the items.
    """

    accepts_one_user_row: ClassVar[bool] = True


class UnpaddedRows:
    """Mix-in of a network that accepts inputs of several rows without padding when it is trained on one device.

    ``call`` has a parameter ``owners``: name of such an input -> int [n], ascending: the index of each row's
    impression. The input is [n, dim] and has no mask.
    """

    accepts_unpadded_rows: ClassVar[bool] = True


def accepts_one_user_row(network: Any) -> bool:
    """Return whether a network derives from ``OneUserRow``, or contains one that does."""
    return getattr(network, "accepts_one_user_row", False)


def accepts_unpadded_rows(network: Any) -> bool:
    """Return whether a network derives from ``UnpaddedRows``, or contains one that does."""
    return getattr(network, "accepts_unpadded_rows", False)


def rows_of(features: Mapping[str, Any]) -> dict[str, Any]:
    """Return the features without the masks."""
    return {name: values for name, values in features.items() if not name.endswith(MASK)}


def masks_of(features: Mapping[str, Any]) -> dict[str, Any]:
    """Return the mask of each padded input, by the name of the input."""
    return {name.removesuffix(MASK): values for name, values in features.items() if name.endswith(MASK)}


def with_masks(inputs: Mapping[str, Any], masks: Mapping[str, Any]) -> dict[str, Any]:
    """Return inputs and masks as one mapping."""
    return {**inputs, **{f"{name}{MASK}": mask for name, mask in masks.items()}}
