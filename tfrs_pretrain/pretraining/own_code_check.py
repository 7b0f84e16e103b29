"""Checks of a loss and of a sampler from installed packages before anything is trained."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tfrs_pretrain.config import PretrainingConfig
from tfrs_pretrain.config.objectives import Negatives
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.own_code import PlugIn, reason
from tfrs_pretrain.pretraining.batch_candidates import BatchCandidates
from tfrs_pretrain.pretraining.contrastive_task import ContrastiveBatch, ContrastiveTask
from tfrs_pretrain.pretraining.logit_positions import LogitPositions
from tfrs_pretrain.pretraining.negative_sampler import NegativeSampler

_BATCH, _CANDIDATES, _EXCLUDED, _TOLERANCE = 3, 7, 5, 1e-4  # _EXCLUDED: a candidate that is no positive


def checked_task(plug_in: PlugIn, task: Any, settings: PretrainingConfig) -> ContrastiveTask:
    """Returns a loss that fulfils the contract of ``ContrastiveTask``.

    Args:
      plug_in: its entry point.
      task: what the entry point returned.
      settings: of Stage I.

    Raises:
      UserError: it is no loss, represents rows otherwise than ``normalize`` says, does not return a finite float32
        scalar, has no gradient, or ignores weights or known positives.
    """
    if not isinstance(task, ContrastiveTask):
        raise _refusal(plug_in, f"returns {_described(task)}, expected a tfrs_pretrain.ContrastiveTask")
    negatives = settings.objective.negatives
    rows = tf.constant(np.random.default_rng(0).standard_normal((_BATCH + _CANDIDATES, settings.dim)), tf.float32)
    _check_representation(plug_in, task, rows, normalize=settings.objective.normalize)
    batch = _batch(rows, negatives)
    loss, *gradients = _differentiated(plug_in, task, batch)
    if not np.isfinite(loss):
        raise _refusal(plug_in, f"returns the loss {float(loss)} for ordinary rows, expected a finite number")
    for name, gradient in zip(("query_rows", "candidate_rows"), gradients, strict=True):
        if not np.isfinite(gradient).all() or not np.any(gradient):
            raise _refusal(plug_in, f"returns a loss whose gradient for {name} is zero or not finite: compute the loss "
                                    "from these rows by differentiable operations")
    if negatives.mask_known_positives and np.any(gradients[1][_EXCLUDED]):
        raise _refusal(plug_in, "reads negatives in batch.masked: leave these positions out, or set "
                                "mask_known_positives to false")
    first, twice = (float(_differentiated(plug_in, task, dataclasses.replace(
        batch, weights=tf.constant([weight, 0.0, 0.0])))[0]) for weight in (1.0, 2.0))
    if abs(twice - 2 * first) > _TOLERANCE * (1 + abs(twice)):
        raise _refusal(plug_in, "ignores batch.weights: return batch.weighted_sum(losses) of float32 [batch] losses")
    return task


def checked_sampler(plug_in: PlugIn, sampler: Any, *, count: int, num_rows: int, free: np.ndarray,
                    needs_probability: bool) -> NegativeSampler:
    """Returns a sampler that fulfils the contract of ``NegativeSampler``.

    Args:
      plug_in: its entry point.
      sampler: what the entry point returned.
      count: number of draws that the configuration requests.
      num_rows: rows of the item table.
      free: int64 [n], rows that belong to no id.
      needs_probability: whether the logits are corrected by the probability of a draw.

    Raises:
      UserError: it is no sampler, does not draw ``count`` rows that belong to ids, draws others when it is called
        again, or has no probability for each row.
    """
    if not isinstance(sampler, NegativeSampler):
        raise _refusal(plug_in, f"returns {_described(sampler)}, expected a NegativeSampler, of "
                                "tfrs_pretrain.pretraining.negative_sampler")
    if getattr(sampler, "count", None) != count:
        raise _refusal(plug_in, f"has count {getattr(sampler, 'count', None)!r}, expected {count}: accept the argument "
                                "count and keep it")
    positives = tf.zeros([_BATCH], tf.int64)
    draw = _explained(plug_in, lambda: tf.function(sampler.draw, autograph=False).get_concrete_function(
        positives, tf.TensorSpec([], tf.int64)), "cannot be traced")
    drawn, again = (_explained(plug_in, lambda: draw(positives, tf.constant(0, tf.int64)), "fails") for _ in range(2))
    if not tf.is_tensor(drawn) or not drawn.dtype.is_integer or drawn.shape != [count]:
        raise _refusal(plug_in, f"draws {_described(drawn)}, expected int64 [{count}]")
    if not np.array_equal(drawn, again):
        raise _refusal(plug_in, "draws other rows when it is called again with the same arguments: use tf.random's "
                                "stateless operations, with the argument seed and the step")
    wrong = sorted({int(row) for row in drawn.numpy() if not 0 <= row < num_rows or row in free})
    if wrong:
        raise _refusal(plug_in, f"draws row {wrong[0]}, expected rows of ids from 0 to {num_rows - 1}, without the "
                                f"{len(free)} free ones in the argument free")
    if needs_probability:
        _check_probability(plug_in, sampler, num_rows, free)
    return sampler


def _check_probability(plug_in: PlugIn, sampler: NegativeSampler, num_rows: int, free: np.ndarray) -> None:
    found = _explained(plug_in, sampler.probability, "fails")
    if found is None:
        raise _refusal(plug_in, "states no probability of a draw: implement probability, or set log_q to none")
    if np.shape(found) != (num_rows,):
        raise _refusal(plug_in, f"has probabilities {_described(found)}, expected float64 [{num_rows}]")
    used = np.delete(np.asarray(found, np.float64), free)
    if not (np.isfinite(used).all() and (used > 0).all() and abs(used.sum() - 1) < 1e-3):
        raise _refusal(plug_in, f"has probabilities from {used.min():g} to {used.max():g} with the sum {used.sum():g}, "
                                "expected a positive one for each row that is not free, with the sum 1")


def _check_representation(plug_in: PlugIn, task: ContrastiveTask, rows: tf.Tensor, *, normalize: bool) -> None:
    expected = tf.math.l2_normalize(rows, axis=1) if normalize else rows
    found = _explained(plug_in, lambda: task.represent(rows), "fails in represent")
    if not tf.is_tensor(found) or found.shape != expected.shape or not np.allclose(found, expected, atol=_TOLERANCE):
        raise _refusal(plug_in, f"represents rows otherwise than {'as unit vectors' if normalize else 'unchanged'}, as "
                                f"normalize: {str(normalize).lower()} says: correct one of them, because evaluation, "
                                "retrieval and neighbors compare rows in this way")


def _batch(rows: tf.Tensor, negatives: Negatives) -> ContrastiveBatch:
    """Three pairs and seven candidates. If they are drawn, the last one is a positive only."""
    counts, positive = ([2, 1, 1, 1, 1, 3, 1], [0, 1, 2]) if negatives.in_batch else ([2, 1, 1, 1, 1, 3], [0, 1, 6])
    candidates = BatchCandidates(tf.range(_CANDIDATES, dtype=tf.int64), tf.constant(counts, tf.int64),
                                 tf.constant(positive, tf.int64))
    log_probability = None if negatives.log_q == "none" else tf.fill([_CANDIDATES], -float(np.log(_CANDIDATES)))
    masked = LogitPositions(tf.range(_BATCH, dtype=tf.int64), tf.fill([_BATCH], tf.constant(_EXCLUDED, tf.int64)))
    return ContrastiveBatch(rows[:_BATCH], rows[_BATCH:], candidates, log_probability, weights=tf.ones([_BATCH]),
                            masked=masked if negatives.mask_known_positives else None)


def _differentiated(plug_in: PlugIn, task: ContrastiveTask, batch: ContrastiveBatch) -> tuple[tf.Tensor, ...]:
    """The loss and its gradients for both kinds of rows, in a graph, as training computes them."""
    def compute(queries: tf.Tensor, candidates: tf.Tensor) -> Any:
        with tf.GradientTape() as tape:
            tape.watch([queries, candidates])
            loss = task(dataclasses.replace(batch, query_rows=queries, candidate_rows=candidates))
        if not tf.is_tensor(loss) or loss.dtype != tf.float32 or loss.shape.rank != 0:
            raise _refusal(plug_in, f"returns {_described(loss)}, expected the loss as a float32 scalar: the sum over "
                                    "the pairs")
        return loss, *tape.gradient(loss, [queries, candidates], unconnected_gradients="zero")

    found: tuple[tf.Tensor, ...] = _explained(
        plug_in, lambda: tf.function(compute, autograph=False)(batch.query_rows, batch.candidate_rows), "fails")
    return tuple(tf.convert_to_tensor(part) for part in found)


def _explained(plug_in: PlugIn, call: Callable[[], Any], problem: str) -> Any:
    try:
        return call()
    except UserError:
        raise
    except Exception as error:  # the user's code may raise anything
        raise _refusal(plug_in, f"{problem} ({reason(error)})") from error


def _described(value: Any) -> str:
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"{getattr(value.dtype, 'name', value.dtype)}{list(value.shape)}"
    return type(value).__name__


def _refusal(plug_in: PlugIn, problem: str) -> UserError:
    return UserError(f"{plug_in.title} {problem}")
