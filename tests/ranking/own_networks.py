"""Networks of a user's own for tests: good ones, and one for each mistake."""

import keras
import numpy as np
import tensorflow as tf

from tfrs_pretrain.ranking.model.contract import OneUserRow, UnpaddedRows, rows_of
from tfrs_pretrain.ranking.model.pooling import ragged_mean_pooling


class Own(keras.Model):
    """Dropout, batch normalization and a regularizer over all inputs; lists are averaged without padding."""

    def __init__(self, units=6, heads=1, **kwargs):
        super().__init__(**kwargs)
        self.units, self.num_heads = units, heads
        self.first = keras.layers.Dense(units, "relu", kernel_regularizer=keras.regularizers.L2(0.001),
                                        dtype=self.dtype_policy)
        self.norm = keras.layers.BatchNormalization(dtype=self.dtype_policy)
        self.drop = keras.layers.Dropout(0.1, dtype=self.dtype_policy)
        self.last = keras.layers.Dense(heads, dtype="float32")

    def call(self, features, training=False):
        parts = [self.pooled(features, name) for name in sorted(rows_of(features))]
        return self.last(self.drop(self.norm(self.first(keras.ops.concatenate(parts, axis=-1)))))

    def pooled(self, features, name):
        if f"{name}.mask" not in features:
            return features[name]
        mask = keras.ops.expand_dims(features[f"{name}.mask"], -1)
        rows = keras.ops.where(mask, features[name], 0)
        count = keras.ops.sum(keras.ops.cast(mask, rows.dtype), axis=1)
        return keras.ops.sum(rows, axis=1) / keras.ops.maximum(count, 1)

    def get_config(self):
        return {**super().get_config(), "units": self.units, "heads": self.num_heads}


class TwoTowers(OneUserRow, keras.layers.Layer):
    """A layer that adds what it computes of both sides; it ignores all other inputs."""

    def __init__(self, units=5, heads=1, **kwargs):
        super().__init__(**kwargs)
        self.user, self.item = keras.layers.Dense(units), keras.layers.Dense(units)
        self.last = keras.layers.Dense(heads)

    def call(self, features):
        return self.last(keras.ops.relu(self.user(features["user"]) + self.item(features["item"])))


class Wrong(Own):
    """A base of networks with one mistake each."""

    def call(self, features, training=False):
        return self.wrong(features, super().call(features, training))


class OneLogit(Wrong):
    def wrong(self, features, logits):
        return logits[:, 0]


class Dictionary(Wrong):
    def wrong(self, features, logits):
        return {"logits": logits}


class Constant(keras.Model):
    def call(self, features):
        return features["user"][:, :1]


class NotFinite(Wrong):
    def wrong(self, features, logits):
        return keras.ops.log(logits - 1e6)


class Unused(Wrong):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.extra = keras.layers.Dense(1)

    def wrong(self, features, logits):
        self.extra(features["user"])
        return logits


class MixesImpressions(Wrong):
    def wrong(self, features, logits):
        return logits - keras.ops.mean(logits, axis=0)


class ReadsPadding(Own):
    def pooled(self, features, name):
        return keras.ops.mean(features[name], axis=1) if features[name].ndim == 3 else features[name]


class ReadsLength(Wrong):
    def wrong(self, features, logits):
        return logits + keras.ops.cast(keras.ops.shape(features["tags"])[1], "float32")


class OneUserRowInName(OneUserRow, Own):
    """Concatenates one user row with several items."""


class CallsPython(Wrong):
    def wrong(self, features, logits):
        return logits + tf.py_function(lambda values: values * 0, [logits], tf.float32)


class NeedsNumpy(Wrong):
    def wrong(self, features, logits):
        return logits * float(np.asarray(features["user"]).shape[1])


class ReadsTexts(Wrong):
    """XLA has no operations for texts."""

    def wrong(self, features, logits):
        texts = tf.strings.as_string(features["user"][:, :1])
        return logits + 0.0 * tf.cast(tf.strings.length(texts), tf.float32)


class DrawsWeights(Own):
    """Its last layer's size is drawn, so that a saved model cannot be loaded."""

    sizes = iter(range(3, 100))

    def build(self, shapes):
        self.other = keras.layers.Dense(next(self.sizes))
        self.built = True

    def call(self, features, training=False):
        return super().call(features, training) + keras.ops.sum(self.other(features["user"]), axis=1, keepdims=True)


class UnknownFeature(Wrong):
    def wrong(self, features, logits):
        return logits + features["price"]


def fails(**settings):
    raise RuntimeError("no GPU in this\nhouse")


def number(units=1):
    return units


def functional():
    user, item = keras.Input((8,)), keras.Input((8,))
    joined = keras.layers.Concatenate()([user, item])
    return keras.Model({"user": user, "item": item}, keras.layers.Dense(1)(keras.layers.Dense(4, "relu")(joined)))


class Ragged(UnpaddedRows, Own):
    """Averages the rows of lists without padding where the trainer leaves the padding out."""

    def call(self, features, training=False, owners=None):
        unpadded = {name: ragged_mean_pooling(features[name], index, keras.ops.shape(features["item"])[0])
                    for name, index in (owners or {}).items()}
        return super().call({**features, **unpadded}, training)
