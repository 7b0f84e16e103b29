"""Several training steps in one TensorFlow call."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

Step = Callable[[Any], dict[str, tf.Tensor]]

EXAMPLES = "examples"

# Compiled loops by the object that owns the step. The reference must be weak: the owner may contain large tables.
_loops: weakref.WeakKeyDictionary[Any, dict[tuple[Any, str], CompiledLoop]] = weakref.WeakKeyDictionary()


def compiled_loop(strategy: tf.distribute.Strategy, step: Step) -> CompiledLoop:
    """The loop of a function, or of a method of an object; every call with the same step returns the same loop."""
    owner, name = getattr(step, "__self__", step), getattr(step, "__name__", "")
    loops = _loops.setdefault(owner, {})
    if (strategy, name) not in loops:
        reference: Any = weakref.ref(step) if owner is step else weakref.WeakMethod(step)
        loops[strategy, name] = CompiledLoop(strategy, reference)
    return loops[strategy, name]


class CompiledLoop:
    """Runs a step several times in one call of a ``tf.function``, which is traced once.

    Args:
      strategy: its replicas run the step.
      step: weak reference to the step.
    """

    def __init__(self, strategy: tf.distribute.Strategy, step: Callable[[], Step]):
        self._strategy, self._step = strategy, step
        self._names: list[str] = []
        self._run = tf.function(self._steps, autograph=False)  # rewriting all that the step calls takes seconds

    def __call__(self, iterator: Any, count: int) -> dict[str, np.ndarray]:
        """Run ``count`` steps on the next batches.

        Returns:
          scalar name -> float64 [count]: each step's mean over the replicas; for ``EXAMPLES`` the sum.
        """
        values = self._run(iterator, tf.constant(count)).numpy()
        return dict(zip(self._names, values.T, strict=True))

    def _steps(self, iterator: Any, count: tf.Tensor) -> tf.Tensor:
        def body(index: tf.Tensor, values: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
            scalars = self._strategy.run(self._replica_step, args=(iterator.get_next(),))
            return index + 1, values.write(index, self._reduce(scalars))

        _, values = tf.while_loop(lambda index, _: index < count, body,
                                  (tf.constant(0), tf.TensorArray(tf.float64, size=count)))
        return values.stack()

    def _replica_step(self, batch: Any) -> dict[str, tf.Tensor]:
        scalars = {name: tf.cast(value, tf.float64) for name, value in self._step()(batch).items()}
        return scalars | {EXAMPLES: tf.cast(tf.shape(tf.nest.flatten(batch)[0])[0], tf.float64)}

    def _reduce(self, scalars: dict[str, Any]) -> tf.Tensor:
        """float64 [scalars] over all replicas, in the order of the sorted names."""
        self._names = sorted(scalars)
        reductions = {EXAMPLES: tf.distribute.ReduceOp.SUM}
        return tf.stack([
            self._strategy.reduce(reductions.get(name, tf.distribute.ReduceOp.MEAN), scalars[name], axis=None)
            for name in self._names])
