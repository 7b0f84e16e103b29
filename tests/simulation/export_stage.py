"""Connects the product's export, delta, compaction and forgetting to the stand-ins."""

import contextlib
import secrets

import numpy as np
from live_loading import LoadedModel
from served_version import SIGNATURES
from standin_tensorflow import save_model
from training_stages import build_ranker

from tfrs_pretrain.evaluation.bootstrap import Resampling
from tfrs_pretrain.serving.deltas import dense_part
from tfrs_pretrain.serving.exporting import (
    compaction,
    delta,
    export,
    export_checks,
    extra_assets,
    golden_impressions,
    model_card,
)
from tfrs_pretrain.serving.exporting.golden_requests import GoldenRequest
from tfrs_pretrain.serving.exporting.memory import MemoryUse
from tfrs_pretrain.serving.exporting.prediction_logs import prediction_log
from tfrs_pretrain.serving.exporting.quantization import MetricChange, QuantizationCost
from tfrs_pretrain.serving.exporting.reference_scorer import ReferenceScorer
from tfrs_pretrain.serving.graph.served_ranker import ServedRanker
from tfrs_pretrain.serving.graph.signatures import SavedModelContents
from tfrs_pretrain.serving.pushing import chunks

UNKNOWN = MetricChange(None, None)
CHUNK_ROWS = 3


def install():
    """Replaces what needs TensorFlow in export, delta and compaction."""
    from tfrs_pretrain.embeddings import placed_variable
    from tfrs_pretrain.ranking.model import artifact
    from tfrs_pretrain.serving.exporting import quantization

    for module in (artifact, dense_part, quantization):
        module.build_ranker = build_ranker
    placed_variable.local_copy = lambda variable: variable
    golden_impressions._trained_scores = lambda dataset, ranker, keys: {}
    for module in (export, compaction):
        module.LiveRanker = StandInLiveRanker
        module.save = _save
        module.check_operations = lambda folder: []
        module.progress = _no_progress
    delta.progress = _no_progress
    export.golden_requests = _golden_requests
    export.quantization_cost = lambda *_: QuantizationCost("validation", 0, 0.0, UNKNOWN, UNKNOWN)
    export_checks.LoadedModel = LoadedModel
    export_checks.memory_growth = lambda: contextlib.nullcontext(MemoryUse())
    chunks.CHUNK_ROWS = CHUNK_ROWS
    extra_assets.warmup_logs = compaction.warmup_logs = _warmup_logs
    model_card.RESAMPLING = Resampling(replicates=2)


@contextlib.contextmanager
def _no_progress(*_, **__):
    yield _Meter()


class _Meter:
    def note(self, text):
        pass

    advance = note


class StandInLiveRanker(ServedRanker):
    """A served ranker whose graph takes live updates, see ``LiveModel``."""

    def __init__(self, ranker, dataset, assets, settings, *stored, **by_name):
        super().__init__(ranker, dataset, assets, *stored, **by_name)
        self._live = {"token": secrets.token_hex(16), "key": settings.key_digest.to_json(), "cold_sizes": {},
                      "spare": {}, "spare_bytes": 0}

    def described_updates(self):
        return self._live


def _save(served, folder):
    save_model(served, folder)
    signatures = {name: {"method": "predict", "inputs": {}, "outputs": {}} for name in SIGNATURES}
    return SavedModelContents(dict(served.inputs), dict(served.outputs), tuple(served.classes), signatures,
                              {name: dict(table) for name, table in served.tables.items()})


def _golden_requests(golden, scorer: ReferenceScorer, inputs, classes):
    raw = golden.inputs
    rows = [f"golden impression {key}" for key in golden.keys.tolist()]
    requests = [GoldenRequest("serving_default", raw, scorer.scores(raw), rows)]
    for space in ("user", "item"):
        ids = raw[f"{space}_id"]
        requests.append(GoldenRequest(f"{space}_embedding", {f"{space}_id": ids},
                                      {"embedding": np.asarray(scorer.embeddings(space, ids))}, rows))
    return requests


def _warmup_logs(model, raw, inputs):
    return [prediction_log(model, "serving_default", dict(raw))]
