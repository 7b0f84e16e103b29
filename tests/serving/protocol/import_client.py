"""Program: imports the client, then TensorFlow, then every part of serving; ``tf.keras`` must stay as it is."""

import importlib
import pkgutil
import sys

from tfrs_pretrain.serving.client.tf_examples import to_example

assert not {"tensorflow", "keras"} & sys.modules.keys()

import tensorflow as tf  # noqa: E402

keras = tf.keras.__version__

import tfrs_pretrain.serving  # noqa: E402

OF_OTHER_EXTRAS = {"tfrs_pretrain.serving.sbom"}

for module in pkgutil.walk_packages(tfrs_pretrain.serving.__path__, "tfrs_pretrain.serving."):
    if module.name not in OF_OTHER_EXTRAS:
        importlib.import_module(module.name)

assert tf.keras.__version__ == keras

example = tf.train.Example.FromString(to_example({"a": [1, 2]}).SerializeToString())
assert list(example.features.feature["a"].int64_list.value) == [1, 2]
