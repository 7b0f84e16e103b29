"""Loss scaling for networks that compute in float16, whose gradients would otherwise vanish below its smallest number.

Micikevicius et al., "Mixed Precision Training", ICLR 2018, section 3.2, with the scale that Keras's optimizer adapts:
halved after a step whose gradients are not finite, which is skipped, and doubled after 2,000 good ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf


def with_loss_scale(optimizer: Any, network: keras.Model) -> Any:
    """The Keras optimizer, with loss scaling where the network computes in float16."""
    return keras.optimizers.LossScaleOptimizer(optimizer) if network.compute_dtype == "float16" else optimizer


def loss_scale(optimizer: Any) -> tf.Tensor | None:
    """float32 [] to multiply the loss by; None without loss scaling."""
    scaled = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    return tf.convert_to_tensor(optimizer.dynamic_scale) if scaled else None


def finite_everywhere(gradients: Sequence[tf.Tensor]) -> tf.Tensor:
    """bool []: every value is finite, on all replicas."""
    finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(gradient)) for gradient in gradients])
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        return finite
    return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.cast(~finite, tf.float32)) == 0


def unscaled(rows: Mapping[str, tf.Tensor], weights: Sequence[tf.Tensor], scale: tf.Tensor | None
             ) -> tuple[dict[str, tf.Tensor], list[tf.Tensor], tf.Tensor | None]:
    """Gradients of the rows as they are without the scale, of the weights as Keras's optimizer expects them.

    Returns:
      both, and bool []: whether they are finite on all replicas; None without loss scaling.
    """
    if scale is None:
        return dict(rows), list(weights), None
    finite = finite_everywhere([*rows.values(), *weights])
    # Keras skips a step by each replica's own gradients, so that all must see what one did.
    shared = [tf.where(finite, gradient, tf.constant(float("nan"), gradient.dtype)) for gradient in weights]
    return {name: gradient / scale for name, gradient in rows.items()}, shared, finite
