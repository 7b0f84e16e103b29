"""Trains the layer for one step on two replicas and prints its table as JSON: mirrored_rows.py FOLDER REPLICAS."""

import json
import sys

import keras
import numpy as np
import tensorflow as tf

import tfrs_pretrain as tp

folder, replicas = sys.argv[1], int(sys.argv[2])
[cpu] = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * replicas)
devices = [f"CPU:{number}" for number in range(replicas)]
strategy = tf.distribute.MirroredStrategy(devices) if replicas > 1 else tf.distribute.get_strategy()
layer = tp.Embeddings.open(folder).to_keras("user", trainable=True)  # before the scope: its weights are created later
with strategy.scope():
    ids = keras.Input((), dtype="int64")
    model = keras.Model(ids, layer(ids))
    model.compile(keras.optimizers.SGD(0.5), "mse")
targets = np.arange(12, dtype=np.float32).reshape(4, 3)
model.fit(tf.data.Dataset.from_tensor_slices(([7, -9, 7, 12345], targets)).batch(4, drop_remainder=True),
          verbose=0)
print(json.dumps(np.asarray(layer.table).tolist()))
