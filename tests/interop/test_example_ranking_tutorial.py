"""The example of a tutorial's model runs on other logs, and its metrics are right."""

import importlib.util
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from planted import planted_config as planted_tree
from sklearn.metrics import log_loss, roc_auc_score

from tfrs_pretrain.embeddings.artifact import save_embeddings

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "ranking_tutorial.py"


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("ranking_tutorial", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_metrics_are_those_of_scikit_learn(example):
    rng = np.random.default_rng(3)
    labels, logits = rng.integers(0, 2, 200).astype(np.float32), rng.standard_normal(200).round(1)
    assert example.auc(labels, logits) == pytest.approx(roc_auc_score(labels, logits))
    assert example.log_loss(labels, logits) == pytest.approx(log_loss(labels, 1 / (1 + np.exp(-logits))))


def test_the_arms_differ_in_one_line():
    arms = re.search(r"arms: .*= \{\n(.*?)\}\n", EXAMPLE.read_text(), re.DOTALL)[1].splitlines()
    assert [line.strip() for line in arms] == [
        '"tutorial": lambda name: own_embedding(train.ids[name]),',
        '"with pretrained rows": lambda name: rows.to_keras(name, trainable=True)']


@pytest.mark.slow
def test_both_arms_are_trained_and_compared(example, tiny_dataset, planted_logs, tmp_path, monkeypatch, capsys):
    vocabularies = {name: tiny_dataset.vocabulary(name) for name in ("user", "item")}
    tables = {name: np.random.default_rng(1).standard_normal((vocabulary.num_rows, 4)).astype(np.float32)
              for name, vocabulary in vocabularies.items()}
    save_embeddings(tmp_path / "rows", tables, vocabularies, {"window": {"start": 0, "end": 1}}, overwrite=False)
    (tmp_path / "planted.yaml").write_text(yaml.safe_dump(planted_tree()))
    monkeypatch.setattr(example, "EPOCHS", 2)
    monkeypatch.setattr(sys, "argv", ["example", "--logs", str(planted_logs), "--embeddings", str(tmp_path / "rows"),
                                      "--config", str(tmp_path / "planted.yaml"), "--seeds", "1"])
    example.main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        "tutorial, seed 1", "with pretrained rows, seed 1", "tutorial", "with pretrained rows", "difference by seed"]
