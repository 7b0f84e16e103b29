"""Program: imports TensorFlow, then every part of serving; ``tf.keras`` must stay as it is."""

import importlib
import pkgutil

import tensorflow as tf

keras = tf.keras.__version__

import tfrs_pretrain.serving  # noqa: E402

for module in pkgutil.walk_packages(tfrs_pretrain.serving.__path__, "tfrs_pretrain.serving."):
    importlib.import_module(module.name)

assert tf.keras.__version__ == keras

from tfrs_pretrain.serving.protocol.messages import Example  # noqa: E402

assert Example is tf.train.Example
