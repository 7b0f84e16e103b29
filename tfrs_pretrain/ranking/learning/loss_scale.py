"""Loss scaling for networks that compute in float16, whose smallest gradients would otherwise underflow to 0.

Micikevicius et al., "Mixed Precision Training", ICLR 2018, section 3.2. Keras's optimizer adapts the scale: it is
halved after a step with a gradient that is not finite, which is skipped, and doubled after 2,000 finite steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf


def with_loss_scale(optimizer: Any, network: keras.Model) -> Any:
    """Wrap a Keras optimizer in a ``LossScaleOptimizer`` if the network computes in float16."""
    return keras.optimizers.LossScaleOptimizer(optimizer) if network.compute_dtype == "float16" else optimizer


def loss_scale(optimizer: Any) -> tf.Tensor | None:
    """Return the float32 [] factor of the loss; None without loss scaling."""
    is_scaled = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    return tf.convert_to_tensor(optimizer.dynamic_scale) if is_scaled else None


def all_finite(gradients: Sequence[tf.Tensor]) -> tf.Tensor:
    """Return bool []: every gradient value on every replica is finite."""
    finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(gradient)) for gradient in gradients])
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        return finite
    return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.cast(~finite, tf.float32)) == 0


def unscale(rows: Mapping[str, tf.Tensor], weights: Sequence[tf.Tensor], scale: tf.Tensor | None
            ) -> tuple[dict[str, tf.Tensor], list[tf.Tensor], tf.Tensor | None]:
    """Divide the gradients of table rows by the loss scale; Keras's optimizer itself unscales those of the weights.

    Args:
      rows: input -> gradients of its gathered rows.
      weights: gradients of the dense weights.
      scale: float32 [] loss scale; None without loss scaling.

    Returns:
      the unscaled row gradients; the weight gradients, NaN on all replicas if one replica's are not finite; bool [],
      whether all gradients are finite, None without loss scaling.
    """
    if scale is None:
        return dict(rows), list(weights), None
    finite = all_finite([*rows.values(), *weights])
    # Keras decides on each replica by its own gradients whether to skip a step, so all replicas must agree.
    shared = [tf.where(finite, gradient, tf.constant(float("nan"), gradient.dtype)) for gradient in weights]
    return {name: gradient / scale for name, gradient in rows.items()}, shared, finite
