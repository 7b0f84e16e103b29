import numpy as np
import pytest
from planted_predictions import ROWS, impressions, write_ranker

from tfrs_pretrain.artifacts import read_manifest, write_manifest
from tfrs_pretrain.json_documents import json_digest


@pytest.fixture
def rankers(tmp_path):
    """Folders "good" and "bad" on the same impressions: scores near the truth, and with noise added."""
    columns, logits = impressions()
    noise = np.random.default_rng(2).normal(0, 1.5, ROWS)
    return {name: write_ranker(tmp_path / name, columns, 1 / (1 + np.exp(-values)), arm=name)
            for name, values in (("good", logits), ("bad", logits + noise))}


@pytest.fixture
def exported(rankers, tmp_path):
    """Version folder that was exported from "good"."""
    version = tmp_path / "models" / "served" / "12"
    (version / "assets.extra").mkdir(parents=True)
    write_manifest(version / "assets.extra", "saved_model", {
        "arm": "good", "version": 12, "ranker": str(rankers["good"]),
        "ranker_digest": json_digest(read_manifest(rankers["good"], "ranker"))})
    return version
