"""The layer under a strategy and on other backends of Keras, and the embedding for PyTorch."""

import importlib.util
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from handmade_rows import TABLES

import tfrs_pretrain as tp


def run(*arguments, **variables):
    """Returns the JSON that a new process prints."""
    done = subprocess.run([sys.executable, *map(str, arguments)], capture_output=True, text=True, check=False,
                          env=os.environ | variables | {"PYTHONPATH": os.pathsep.join(sys.path)}, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@pytest.mark.slow
def test_two_replicas_train_the_same_rows_as_one(rows_folder):
    one, two = (run(Path(__file__).with_name("mirrored_rows.py"), rows_folder, count) for count in (1, 2))
    np.testing.assert_allclose(one, two, rtol=1e-6)
    changed = np.abs(np.array(one) - TABLES["user"]).max(axis=1) > 1e-6
    assert changed[[4, 5]].all()
    assert changed.sum() == 3


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_row_indices_work_on_other_backends(backend, rows_folder):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    code = textwrap.dedent(f"""
        import json, keras, numpy as np, tfrs_pretrain as tp
        opened = tp.Embeddings.open({str(rows_folder)!r})
        try:
            opened.to_keras("item")
        except tp.UserError as error:
            refused = str(error)
        layer = opened.to_keras("item", inputs="rows", trainable=True)
        given = keras.Input((), dtype="int32")
        model = keras.Model(given, layer(given))
        found = keras.ops.convert_to_numpy(model(opened.rows(["b", "é"]).astype("int32"))).tolist()
        model.compile(keras.optimizers.SGD(0.5), "mse")
        rows = np.array([4, 2, 4, 6], "int32")
        model.fit(rows, np.arange(12, dtype="float32").reshape(4, 3), batch_size=4, verbose=0)
        print(json.dumps([refused, found, keras.ops.convert_to_numpy(layer.table).tolist()]))
        """)
    refused, found, trained = run("-c", code, KERAS_BACKEND=backend)
    assert refused == (f"raw ids need Keras's TensorFlow backend, this process uses '{backend}': pass inputs='rows' "
                       "and map ids with Embeddings.rows")
    np.testing.assert_array_equal(np.float32(found), TABLES["item"][[4, 2]])
    expected = TABLES["item"].astype(np.float64)
    for row, target in zip([4, 2, 4, 6], np.arange(12.0).reshape(4, 3), strict=True):
        expected[row] -= 0.5 * 2 * (TABLES["item"][row] - target) / 12
    np.testing.assert_allclose(trained, expected, rtol=1e-4)


def test_a_pytorch_embedding_has_the_rows(opened_rows):
    torch = pytest.importorskip("torch")
    embedding = opened_rows.to_torch("user", trainable=True, oov="zeros")
    rows = torch.from_numpy(opened_rows.rows([7, 12345], "user"))
    np.testing.assert_array_equal(embedding(rows).detach().numpy(), [TABLES["user"][5], np.zeros(3)])
    assert embedding.weight.requires_grad
    assert not opened_rows.to_torch("user").weight.requires_grad


def test_a_missing_pytorch_is_named(opened_rows, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(tp.UserError, match="pip install torch"):
        opened_rows.to_torch("item")
