"""Checks of an export: operations, memory, and the model card."""

import json
import re
import time

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from tfrs_pretrain.config import Config
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.serving.exporting.export import export
from tfrs_pretrain.serving.exporting.export_checks import check_operations
from tfrs_pretrain.serving.exporting.memory import MemoryNeed, MemoryUse, check_budget, memory_growth


def saved(folder, function):
    module = tf.Module()
    signature = tf.function(function, input_signature=[tf.TensorSpec([None], tf.float32, "x")], autograph=False)
    tf.saved_model.save(module, str(folder), signatures={"serving_default": signature})
    return folder


def test_operations_inside_functions_are_listed(exported, tmp_path):
    _, version = exported
    assert {"HashTableV2", "LookupTableFindV2", "ResourceGather", "MatMul", "Assert"} <= set(version.report.operations)
    model = saved(tmp_path / "model", lambda x: {"y": tf.cond(x[0] > 0, lambda: tf.math.erf(x), lambda: x)})
    found = check_operations(model)
    assert "Erf" in found
    assert not [name for name in found if name.startswith("__")]


def test_operations_that_call_python_are_refused(tmp_path):
    model = saved(tmp_path / "model", lambda x: {"y": tf.numpy_function(np.sin, [x], tf.float32)})
    with pytest.raises(UserError, match=r"uses \['PyFunc'\], which TensorFlow Serving does not have"):
        check_operations(model)


def test_operations_of_other_libraries_are_refused(tmp_path):
    model = saved(tmp_path / "model", lambda x: {"y": tf.math.erf(x)})
    content = saved_model_pb2.SavedModel.FromString((model / "saved_model.pb").read_bytes())
    for function in content.meta_graphs[0].graph_def.library.function:
        for node in function.node_def:
            node.op = "SomebodysErf" if node.op == "Erf" else node.op
    (model / "saved_model.pb").write_bytes(content.SerializeToString())
    with pytest.raises(UserError, match=r"uses \['SomebodysErf'\]"):
        check_operations(model)


def test_peak_memory_includes_freed_memory():
    with memory_growth() as use:
        kept = np.ones(30_000_000, np.uint8)
        freed = np.ones(60_000_000, np.uint8)
        time.sleep(0.1)
        del freed
    assert 25e6 < use.last < 60e6
    assert use.peak > 85e6
    assert kept[0] == 1


def test_two_versions_must_fit_into_the_budget(tmp_path):
    (tmp_path / "variables").mkdir()
    (tmp_path / "variables" / "data").write_bytes(bytes(1000))
    assert check_budget(tmp_path, MemoryUse(peak=10), 2000) == MemoryNeed(1000, 2000, 2000)
    assert check_budget(tmp_path, MemoryUse(peak=4000), None) == MemoryNeed(4000, 8000, None)
    with pytest.raises(UserError, match=r"needs 1,000 bytes .* 2,000; export.memory_budget_bytes is 1,999"):
        check_budget(tmp_path, MemoryUse(peak=10), 1999)


def test_an_export_above_the_budget_leaves_no_files(tmp_path, planted_config, tiny_dataset, ranker_folder):
    tree = planted_config.resolved()
    tree["export"] |= {"memory_budget_bytes": 1000}
    with pytest.raises(UserError, match="nothing was exported: set export"):
        export(Config.model_validate(tree), tiny_dataset, ranker_folder, tmp_path)
    assert list((tmp_path / planted_config.name).iterdir()) == []


def test_the_card_contains_the_rankers_test_metrics(exported, ranker_folder):
    _, version = exported
    extra = version.path / "assets.extra"
    card = json.loads((extra / "model_card.json").read_text())
    ranker = json.loads((ranker_folder / "manifest.json").read_text())
    assert (card["name"], card["version"], card["arm"]) == ("planted_ranker", 1, "scratch")
    assert card["windows"] == ranker["windows"]
    assert card["judged"]["split"] == "test"
    whole, *slices = card["judged"]["labels"]["label"]
    for name in ("auc", "log_loss", "gauc"):
        found = whole["metrics"][name]
        assert found["value"] == pytest.approx(ranker["metrics"]["test"][name], rel=1e-6)
        assert found["low"] < found["value"] < found["high"]
    assert {part["slicing"] for part in slices} == {"item_frequency", "items", "users"}
    page = (extra / "model_card.md").read_text()
    assert f"| all | {whole['impressions']:,} | {whole['metrics']['auc']['value']:.4f} [" in page
    assert re.search(r"^\| item \| \d+ \| 8 \| float32 \|", page, re.M)
    assert "Probability of: `clicked`." in page
    assert json.loads((extra / "ranker_manifest.json").read_text())["metrics"] == ranker["metrics"]
    assert json.loads((extra / "table_manifest.json").read_text())["tables"] == version.report.contents.tables
