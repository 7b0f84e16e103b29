"""The loop that both stages train with."""

from __future__ import annotations

import bisect
import dataclasses
import weakref
from collections.abc import Callable, Collection
from typing import Any

import numpy as np
import tensorflow as tf

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.progress import Meter

Step = Callable[[Any], dict[str, tf.Tensor]]

STEPS_PER_CALL = 32  # enough to hide Python's overhead, few enough for a lively progress bar
EXAMPLES = "examples"


class NonFiniteLossError(UserError):
    """The loss, or another scalar of the step, is not finite.

    Attributes:
      step: of the epoch, 1 at the first.
    """

    def __init__(self, message: str, step: int):
        super().__init__(message)
        self.step = step


@dataclasses.dataclass(frozen=True)
class EpochState:
    """Where an epoch stands.

    Attributes:
      done: steps done.
      totals: name -> sum of the step's scalars over these steps.
    """

    done: int = 0
    totals: dict[str, float] = dataclasses.field(default_factory=dict)


# Compiled loops by the object that owns the step, which must not be kept alive by them: it may hold large tables.
_loops: weakref.WeakKeyDictionary[Any, dict[tuple[Any, str], _Loop]] = weakref.WeakKeyDictionary()


def run_epoch(strategy: tf.distribute.Strategy, step: Step, batches: tf.data.Dataset, *, steps: int, meter: Meter,
              note: str = "", start: EpochState | None = None, pauses: Collection[int] = (),
              on_pause: Callable[[EpochState], None] | None = None) -> dict[str, float]:
    """Runs ``step`` on ``steps`` global batches.

    Pass the same function, or a method of the same object, in every epoch: the loop is traced once for each.

    Args:
      strategy: from ``build_strategy``.
      step: runs on each replica with its part of the batch and returns scalars, among them "loss".
      batches: the global batches of the steps that are left, or more, tensors [batch, ...] in any structure; with
        several replicas the batch must be a known multiple of their number (``drop_remainder``).
      steps: of the whole epoch.
      meter: advanced by the examples done.
      note: text to show before the running loss.
      start: continue an epoch that stood here.
      pauses: steps of the epoch after which to pause, whatever else makes the loop pause.
      on_pause: called each time the loop comes back from TensorFlow, at most ``STEPS_PER_CALL`` steps after the last
        time, and after the last step.

    Returns:
      name -> mean over the steps of the mean over replicas. It equals the mean over all examples where each scalar is
      a mean over the replica's examples and all batches have one size.

    Raises:
      NonFiniteLossError: the loss, or another scalar, is not finite.
      UserError: the batches end early.
    """
    loop = _loop(strategy, step)
    iterator = iter(_distributed(strategy, batches.with_options(_options())))
    state = start or EpochState()
    ends = sorted({*pauses, steps})
    while state.done < steps:
        done = state.done
        count = min(STEPS_PER_CALL, ends[bisect.bisect_right(ends, done)] - done)
        try:
            values = loop(iterator, count)
        except (tf.errors.OutOfRangeError, tf.errors.FailedPreconditionError, StopIteration) as error:
            raise UserError(f"the data ended between steps {done + 1} and {done + count} of {steps}: the dataset holds "
                            "fewer examples than its manifest says; rebuild it") from error
        _check_finite(values, done, steps)
        meter.advance(float(values.pop(EXAMPLES).sum()))
        state = EpochState(done + count, {name: state.totals.get(name, 0.0) + float(column.sum())
                                          for name, column in values.items()})
        meter.note(f"{note}loss {values['loss'].mean():.4f}")
        if on_pause:
            on_pause(state)
    return {name: total / steps for name, total in state.totals.items()}


def _check_finite(values: dict[str, np.ndarray], done: int, steps: int) -> None:
    """Raises NonFiniteLossError at the first step with a scalar that is not finite, if any."""
    bad = [(int(np.argmax(~np.isfinite(column))), name != "loss", name) for name, column in values.items()
           if not np.isfinite(column).all()]
    if bad:
        index, _, name = min(bad)
        step, what = done + 1 + index, "loss" if name == "loss" else f"scalar {name!r}"
        raise NonFiniteLossError(f"the {what} is not finite at step {step} of {steps}: lower the learning rate, or "
                                 "look for extreme values in the input", step)


class _Loop:
    """Several steps in one TensorFlow call."""

    def __init__(self, strategy: tf.distribute.Strategy, step: Callable[[], Step]):
        self._strategy, self._step = strategy, step
        self._names: list[str] = []
        self._run = tf.function(self._steps, autograph=False)  # rewriting all that the step calls takes seconds

    def __call__(self, iterator: Any, count: int) -> dict[str, np.ndarray]:
        """name -> float64 [count], one value a step."""
        values = self._run(iterator, tf.constant(count)).numpy()
        return dict(zip(self._names, values.T, strict=True))

    def _steps(self, iterator: Any, count: tf.Tensor) -> tf.Tensor:
        def body(index: tf.Tensor, values: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
            scalars = self._strategy.run(self._replica_step, args=(iterator.get_next(),))
            return index + 1, values.write(index, self._combine(scalars))

        _, values = tf.while_loop(lambda index, _: index < count, body,
                                  (tf.constant(0), tf.TensorArray(tf.float64, size=count)))
        return values.stack()

    def _replica_step(self, batch: Any) -> dict[str, tf.Tensor]:
        scalars = {name: tf.cast(value, tf.float64) for name, value in self._step()(batch).items()}
        return scalars | {EXAMPLES: tf.cast(tf.shape(tf.nest.flatten(batch)[0])[0], tf.float64)}

    def _combine(self, scalars: dict[str, Any]) -> tf.Tensor:
        self._names = sorted(scalars)
        how = {EXAMPLES: tf.distribute.ReduceOp.SUM}
        return tf.stack([self._strategy.reduce(how.get(name, tf.distribute.ReduceOp.MEAN), scalars[name], axis=None)
                         for name in self._names])


def _loop(strategy: tf.distribute.Strategy, step: Step) -> _Loop:
    owner, name = getattr(step, "__self__", step), getattr(step, "__name__", "")
    loops = _loops.setdefault(owner, {})
    if (strategy, name) not in loops:
        reference: Any = weakref.ref(step) if owner is step else weakref.WeakMethod(step)
        loops[strategy, name] = _Loop(strategy, reference)
    return loops[strategy, name]


def _distributed(strategy: tf.distribute.Strategy, batches: tf.data.Dataset) -> Any:
    """The replicas' consecutive parts of each global batch, the first replica's first."""
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return strategy.experimental_distribute_dataset(batches)

    def of_worker(context: tf.distribute.InputContext) -> tf.data.Dataset:
        # TensorFlow's own sharding gives workers different batches, not different parts of one.
        share = tf.nest.flatten(batches.element_spec)[0].shape[0] // context.num_input_pipelines
        own = slice(context.input_pipeline_id * share, (context.input_pipeline_id + 1) * share)
        parts = batches.map(lambda batch: tf.nest.map_structure(lambda column: column[own], batch))
        parts = parts.rebatch(share * context.num_input_pipelines // context.num_replicas_in_sync, drop_remainder=True)
        # For data that may end, TensorFlow asks all workers at every step, and gives up static shapes.
        return parts.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))

    return strategy.distribute_datasets_from_function(of_worker)


def _options() -> tf.data.Options:
    options = tf.data.Options()
    options.deterministic = True
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return options
