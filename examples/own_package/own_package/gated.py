"""A ranking network of your own: the item's features pass a gate that the user's features open and close."""

import keras

from tfrs_pretrain.ranking.model.contract import MASK, OneUserRow


class Gated(OneUserRow, keras.Model):
    """Args: units of the hidden layer; heads, which tfrs-pretrain passes: the number of labels."""

    def __init__(self, units=64, heads=1, **kwargs):
        super().__init__(**kwargs)
        self.units, self.heads = units, heads
        self.gate = keras.layers.Dense(units, "sigmoid", dtype=self.dtype_policy)
        self.value = keras.layers.Dense(units, "relu", dtype=self.dtype_policy)
        self.logits = keras.layers.Dense(heads, dtype="float32")

    def call(self, features, training=False):
        """Return logits [batch, heads]; rank passes one user row, [1, dim], beside the items, [n, dim]."""
        user = features["user"]
        if "history" in features:
            user = keras.ops.concatenate([user, masked_mean(features, "history")], axis=-1)
        return self.logits(self.gate(user) * self.value(features["item"]))

    def get_config(self):
        """Arguments of the constructor; only needed for ``train_ranker(network=Gated(...))``."""
        return {**super().get_config(), "units": self.units, "heads": self.heads}


def masked_mean(features, name):
    """Return [batch, dim], the mean of the rows of a list without its padding."""
    mask = keras.ops.expand_dims(features[name + MASK], -1)
    rows = keras.ops.where(mask, features[name], 0)
    count = keras.ops.sum(keras.ops.cast(mask, rows.dtype), axis=1)
    return keras.ops.sum(rows, axis=1) / keras.ops.maximum(count, 1)
