"""The variables of a SavedModel, edited without building the graph again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfrs_pretrain.forgetting.staging import new_file

PREFIX = "variables"  # of the files in the folder of the same name
SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"


def read_variables(model: Path, part: str) -> dict[str, np.ndarray]:
    """Returns name -> value of the variables whose name contains a text."""
    reader = tf.train.load_checkpoint(str(model / PREFIX / PREFIX))
    return {name: reader.get_tensor(name) for name in sorted(reader.get_variable_to_shape_map()) if part in name}


def write_variables(model: Path, changed: Mapping[str, np.ndarray]) -> None:
    """Writes the variables of a copied SavedModel again, some of them with other values of the same shape."""
    reader = tf.train.load_checkpoint(str(model / PREFIX / PREFIX))
    names = sorted(reader.get_variable_to_shape_map())
    tensors = [tf.constant(changed[name] if name in changed else reader.get_tensor(name),
                           reader.get_variable_to_dtype_map()[name]) for name in names]
    del reader
    for path in (model / PREFIX).iterdir():
        new_file(path)
    shard = str(model / PREFIX / f"{PREFIX}_temp")
    tf.raw_ops.SaveV2(prefix=shard, tensor_names=names, shape_and_slices=[""] * len(names), tensors=tensors)
    tf.raw_ops.MergeV2Checkpoints(checkpoint_prefixes=[shard], destination_prefix=str(model / PREFIX / PREFIX))
