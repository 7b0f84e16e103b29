"""Devices and seeds."""

from __future__ import annotations

import functools

import keras
import tensorflow as tf

from tfrs_pretrain.config import TrainingConfig
from tfrs_pretrain.errors import UserError


def build_strategy(config: TrainingConfig) -> tf.distribute.Strategy:
    """Replicas over the GPUs, or over logical CPUs where asked for; TensorFlow's default strategy on one device.

    Raises:
      UserError: TensorFlow already runs with another number of logical CPUs.
    """
    if config.logical_cpus > 1:
        _split_cpu(config.logical_cpus)
        return _mirrored(tuple(f"CPU:{index}" for index in range(config.logical_cpus)))
    gpus = tf.config.list_logical_devices("GPU")
    if len(gpus) > 1:
        return _mirrored(tuple(f"GPU:{index}" for index in range(len(gpus))))
    return tf.distribute.get_strategy()


def set_seeds(seed: int, *, deterministic: bool) -> None:
    """Seeds Python, numpy, TensorFlow and Keras; with ``deterministic``, TensorFlow uses only reproducible kernels."""
    keras.utils.set_random_seed(seed)
    tf.keras.utils.set_random_seed(seed)
    if deterministic:
        tf.config.experimental.enable_op_determinism()


@functools.cache
def _mirrored(devices: tuple[str, ...]) -> tf.distribute.Strategy:
    # A process can hold only one: collectives of a second MirroredStrategy collide with those of the first.
    return tf.distribute.MirroredStrategy(devices)


def _split_cpu(count: int) -> None:
    cpu = tf.config.list_physical_devices("CPU")[0]
    if len(tf.config.get_logical_device_configuration(cpu) or [None]) == count:
        return
    try:
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)
    except RuntimeError as error:
        raise UserError(f"training.logical_cpus is {count}, but TensorFlow already runs with "
                        f"{len(tf.config.list_logical_devices('CPU'))}: start a new process") from error
