"""Forgetting a user and an item in every artifact of a life: survivors keep their bits, the ids are nowhere."""

import hashlib
import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from life import Life, is_zero, write_ids

from tfrs_pretrain.artifacts import check_saved_model, read_manifest
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.data.impressions import evaluation_batches
from tfrs_pretrain.embeddings.artifact import Embeddings
from tfrs_pretrain.evaluation.predictions import Predictions
from tfrs_pretrain.file_digests import check_files
from tfrs_pretrain.forgetting.run import check, forget
from tfrs_pretrain.ranking.model.artifact import load_ranker
from tfrs_pretrain.retrieval.artifact import ItemIndex
from tfrs_pretrain.serving.session import LoadedModel
from tfrs_pretrain.serving.verification.golden_replay import read_golden_requests
from tfrs_pretrain.vocabulary import Vocabulary

COUNTS = {"user": "users", "item": "items"}


def test_it_runs(life, tmp_path):
    vocabulary = life.vocabulary("user")
    ids = write_ids(tmp_path / "ids.parquet", vocabulary.ids.slice(3, 2))
    result = forget("user", ids, [life.logs, *life.artifacts])
    for change in result.changes:
        print(change.artifact.kind, dict(change.removed))
    print(result.leaks)
    items = life.vocabulary("item")
    result = forget("item", write_ids(tmp_path / "ids2.parquet", items.ids.slice(0, 1)), [life.logs, *life.artifacts])
    for change in result.changes:
        print(change.artifact.kind, dict(change.removed))
    print(result.leaks)
    assert 0
