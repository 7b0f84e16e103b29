"""Tiny SavedModels for tests of the server, saved in a fraction of a second."""

import tensorflow as tf


class Scaler(tf.Module):
    """Multiplies the input; classifies it as "low" with its value, and as "high" with its double."""

    def __init__(self, factor):
        super().__init__()
        self.factor = tf.Variable(factor, dtype=tf.float32)

    def scale(self, x, shift):
        tf.debugging.assert_less(x, 1e6, "x is too large")
        return {"scaled": x * self.factor + shift[0], "shifted": x + shift[0]}

    def _parsed(self, serialized):
        features = {"x": tf.io.FixedLenFeature([], tf.float32), "shift": tf.io.FixedLenFeature([], tf.float32, 0.0)}
        parsed = tf.io.parse_example(serialized, features)
        return parsed["x"] * self.factor + parsed["shift"]

    def classify(self, inputs):
        values = self._parsed(inputs)
        labels = tf.tile([["low", "high"]], [tf.size(values), 1])
        return {"classes": labels, "scores": tf.stack([values, 2 * values], axis=1)}

    def regress(self, inputs):
        return {"outputs": self._parsed(inputs)}


def save_scaler(folder, factor=2.0):
    """Saves a ``Scaler`` with the signatures serving_default, classify and regress."""
    model, serialized = Scaler(factor), tf.TensorSpec([None], tf.string, "inputs")
    numbers = {"x": tf.TensorSpec([None], tf.float32, "x"), "shift": tf.TensorSpec([1], tf.float32, "shift")}
    tf.saved_model.save(model, str(folder), signatures={
        "serving_default": tf.function(model.scale).get_concrete_function(**numbers),
        "classify": tf.function(model.classify).get_concrete_function(serialized),
        "regress": tf.function(model.regress).get_concrete_function(serialized)})
    updater = tf.compat.v1.saved_model.signature_def_utils.MethodNameUpdater(str(folder))
    for name in ("classify", "regress"):
        updater.replace_method_name(signature_key=name, method_name=f"tensorflow/serving/{name}")
    updater.save()
    return folder
