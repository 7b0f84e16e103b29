"""The Keras layer: values by raw id, saving, export, training, unknown ids."""

import json
import os
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
import tensorflow as tf
from handmade_rows import TABLES

import tfrs_pretrain as tp

KNOWN_AND_UNKNOWN = {"item": ["b", "new", "é", "", "cc", "b"], "user": [7, 12345, -9, 2**40, 5, -1]}


def inputs(table, shape=()):
    return keras.Input(shape, dtype="string" if table == "item" else "int64")


def model_of(layer, table, shape=()):
    given = inputs(table, shape)
    return keras.Model(given, layer(given))


def tensor(table):
    return tf.constant(KNOWN_AND_UNKNOWN[table], tf.string if table == "item" else tf.int64)


@pytest.mark.parametrize("table", ["item", "user"])
def test_the_layer_returns_what_lookup_returns(table, opened_rows):
    layer = opened_rows.to_keras(table)
    expected = opened_rows.lookup(KNOWN_AND_UNKNOWN[table], table)
    np.testing.assert_array_equal(layer(tensor(table)), expected)
    np.testing.assert_array_equal(layer(tf.reshape(tensor(table), [2, 3])), expected.reshape(2, 3, 3))
    np.testing.assert_array_equal(layer(KNOWN_AND_UNKNOWN[table]), expected)
    np.testing.assert_array_equal(model_of(layer, table)(tensor(table)), expected)
    assert model_of(layer, table, (4,)).output_shape == (None, 4, 3)
    assert layer(tensor(table)[:0]).shape == (0, 3)


def test_rows_are_not_trained_unless_requested(opened_rows):
    for trainable in (False, True):
        layer = opened_rows.to_keras("item", trainable=trainable, name="rows")
        layer.build()
        assert [weight.path for weight in layer.trainable_weights] == ["rows/table"] * trainable
        assert len(layer.weights) == 3
        np.testing.assert_array_equal(layer.table, TABLES["item"])


@pytest.mark.parametrize("oov", ["zeros", "mean"])
def test_unknown_ids_start_as_requested(oov, opened_rows):
    known = TABLES["item"][[2, 4, 5, 6]]  # row 3 is free
    expected = {"zeros": np.zeros(3), "mean": known.mean(axis=0)}[oov]
    layer = opened_rows.to_keras("item", oov=oov)
    np.testing.assert_allclose(layer(tf.constant(["new", "newer", "b"])), [expected, expected, TABLES["item"][4]],
                               rtol=1e-6)


def test_a_row_that_occurs_twice_receives_the_sum_of_its_gradients(opened_rows):
    layer = opened_rows.to_keras("item", trainable=True)
    model = model_of(layer, "item")
    model.compile(keras.optimizers.Adagrad(0.5, initial_accumulator_value=0.0),
                  lambda target, found: keras.ops.sum(target * found, axis=-1))
    weights = np.arange(1, 13, dtype=np.float32).reshape(4, 3)
    model.train_on_batch(tf.constant(["b", "é", "b", "new"]), weights)
    gradients = {4: (weights[0] + weights[2]) / 4, 2: weights[1] / 4,
                 int(opened_rows.rows("new")): weights[3] / 4}
    expected = TABLES["item"].copy()
    for row, gradient in gradients.items():
        expected[row] -= 0.5 * gradient / np.sqrt(gradient ** 2)
    np.testing.assert_allclose(layer.table, expected, rtol=1e-5)


@pytest.mark.parametrize("table", ["item", "user"])
def test_a_saved_model_is_loaded_in_another_process(table, opened_rows, tmp_path):
    model = model_of(opened_rows.to_keras(table, trainable=True), table)
    model.save(tmp_path / "model.keras")
    code = f"""
        import json, keras, tensorflow as tf
        import tfrs_pretrain.interop.keras_ids
        model = keras.models.load_model({str(tmp_path / 'model.keras')!r})
        ids = tf.constant({KNOWN_AND_UNKNOWN[table]!r}, {'tf.string' if table == 'item' else 'tf.int64'})
        print(json.dumps([model(ids).numpy().tolist(), len(model.trainable_weights)]))
        """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False,
                          env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    vectors, trainable = json.loads(done.stdout)
    np.testing.assert_array_equal(np.float32(vectors), opened_rows.lookup(KNOWN_AND_UNKNOWN[table], table))
    assert trainable == 1


@pytest.mark.parametrize("table", ["item", "user"])
def test_an_exported_model_answers_in_the_session_loader_of_tensorflow_serving(table, opened_rows, tmp_path):
    model_of(opened_rows.to_keras(table), table).export(tmp_path / "model", verbose=False)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        loaded = tf.compat.v1.saved_model.loader.load(session, ["serve"], str(tmp_path / "model"))
        signature = loaded.signature_def["serving_default"]
        [[given], [output]] = [list(side.values()) for side in (signature.inputs, signature.outputs)]
        found = session.run(output.name, {given.name: KNOWN_AND_UNKNOWN[table]})
    np.testing.assert_array_equal(found, opened_rows.lookup(KNOWN_AND_UNKNOWN[table], table))


def test_row_indices_may_be_the_input(opened_rows, tmp_path):
    layer = opened_rows.to_keras("item", inputs="rows")
    given = keras.Input((2,), dtype="int64")
    model = keras.Model(given, layer(given))
    np.testing.assert_array_equal(model(np.array([[4, 2]])), TABLES["item"][[[4, 2]]])
    model.save(tmp_path / "m.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "m.keras")(np.array([[6, 0]])),
                                  TABLES["item"][[[6, 0]]])


def test_the_output_has_the_compute_dtype_and_the_rows_stay_exact(opened_rows):
    layer = opened_rows.to_keras("item")
    layer.dtype_policy = keras.DTypePolicy("mixed_float16")
    assert layer(tf.constant(["b"])).dtype == tf.float16
    assert layer.table.dtype == "float32"


@pytest.mark.parametrize(("options", "message"), [
    ({"oov": "random"}, "oov 'random' is unknown: choose one of"),
    ({"inputs": "names"}, "inputs 'names' is unknown"),
    ({"table": "shop"}, "no table 'shop'"),
])
def test_unknown_options_are_refused(options, message, opened_rows):
    with pytest.raises(tp.UserError, match=message):
        opened_rows.to_keras(**options)


@pytest.mark.parametrize(("table", "ids"), [("item", [1]), ("user", ["a"]), ("user", [1.5])])
def test_ids_of_another_type_are_refused(table, ids, opened_rows):
    with pytest.raises(ValueError, match=f"expects ids of type {'string' if table == 'item' else 'int64'}"):
        opened_rows.to_keras(table)(tf.constant(ids))
