"""Distribution strategies, multi-worker runs and seeds."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator

import keras
import tensorflow as tf

from tfrs_pretrain.config import TrainingConfig
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.training.cluster import adopt_cluster


def build_strategy(config: TrainingConfig) -> tf.distribute.Strategy:
    """Build the strategy that ``training.strategy`` names.

    "auto" is TensorFlow's default strategy on one device, and "mirrored" on several GPUs or logical CPUs.
    "multi_worker" must be built before TensorFlow executes any operation, and waits for the other workers.

    Raises:
      UserError: TensorFlow was initialised with another number of logical CPUs, TF_CONFIG does not name the workers, or
        Keras was imported with another backend.
    """
    if (backend := keras.config.backend()) != "tensorflow":
        raise UserError(f"Keras was imported with the backend {backend!r}, expected 'tensorflow': set "
                        "KERAS_BACKEND=tensorflow before the first import of keras")
    if config.strategy == "multi_worker":
        adopt_cluster()
        return _multi_worker()
    if config.logical_cpus > 1:
        _split_cpu(config.logical_cpus)
        return _mirrored(tuple(f"CPU:{index}" for index in range(config.logical_cpus)))
    gpus = tf.config.list_logical_devices("GPU")
    if config.strategy == "mirrored" or (config.strategy == "auto" and len(gpus) > 1):
        return _mirrored(tuple(f"GPU:{index}" for index in range(len(gpus))) or ("CPU:0",))
    return tf.distribute.get_strategy()


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process writes the run's files; of several workers only the first does."""
    resolver = strategy.cluster_resolver
    return resolver is None or not resolver.task_type or (resolver.task_type, resolver.task_id) in (
        ("chief", 0), ("worker", 0))


def total_over_workers(strategy: tf.distribute.Strategy, value: float) -> float:
    """The sum of a value over all workers; every worker must call it at the same point of the program."""
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return value
    local_replicas = len(strategy.extended.worker_devices)
    values = strategy.run(lambda: tf.constant(value / local_replicas, tf.float64))
    return float(strategy.reduce(tf.distribute.ReduceOp.SUM, values, axis=None))


@contextlib.contextmanager
def report_lost_workers(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Replace TensorFlow's connection errors by one line that says that another worker ended.

    Raises:
      UserError: the body failed because another worker ended.
    """
    try:
        yield
    except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError,
            tf.errors.DeadlineExceededError) as error:
        if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
            raise
        raise UserError("another worker ended: run the same command again on every worker; it resumes from the "
                        f"last checkpoint ({error.message.splitlines()[0]})") from error


def set_seeds(seed: int, *, deterministic: bool) -> None:
    """Seed Python, numpy, TensorFlow and Keras; with ``deterministic``, TensorFlow uses reproducible kernels only.

    Scatters are excepted: on a GPU, the reproducible ones copy the whole variable to the host and back. This package
    scatters distinct rows, or equal values, so that their order decides nothing.
    """
    keras.utils.set_random_seed(seed)
    if deterministic:
        os.environ.setdefault("TF_DISABLE_SCATTER_OP_DETERMINISM", "1")  # read at TensorFlow's first scatter
        tf.config.experimental.enable_op_determinism()


@functools.cache
def _mirrored(devices: tuple[str, ...]) -> tf.distribute.Strategy:
    # One per process: the collectives of a second MirroredStrategy collide with those of the first.
    return tf.distribute.MirroredStrategy(devices)


@functools.cache
def _multi_worker() -> tf.distribute.Strategy:
    return tf.distribute.MultiWorkerMirroredStrategy()


def _split_cpu(count: int) -> None:
    cpu = tf.config.list_physical_devices("CPU")[0]
    if len(tf.config.get_logical_device_configuration(cpu) or [None]) == count:
        return
    try:
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)
    except RuntimeError as error:
        raise UserError(f"training.logical_cpus is {count}, but TensorFlow was initialised with "
                        f"{len(tf.config.list_logical_devices('CPU'))}: start a new process") from error
