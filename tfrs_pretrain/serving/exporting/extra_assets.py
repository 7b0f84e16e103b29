"""Files beside the model in ``assets.extra``: warm-up requests, golden requests and manifests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfrs_pretrain.artifact_names import EXTRA_ASSETS, GOLDEN_REQUESTS, RANKER_KIND, SERVED_TABLES_KIND
from tfrs_pretrain.artifacts import manifest_text, write_text
from tfrs_pretrain.serving.deltas.dense_part import RANKER_MANIFEST
from tfrs_pretrain.serving.exporting.golden_impressions import GoldenImpressions
from tfrs_pretrain.serving.exporting.golden_requests import GoldenRequest
from tfrs_pretrain.serving.exporting.prediction_logs import prediction_log, write_prediction_logs
from tfrs_pretrain.serving.exporting.warmup import warmup_logs
from tfrs_pretrain.serving.graph.signatures import SavedModelContents
from tfrs_pretrain.serving.version_folder import GOLDEN_LOGS, WARMUP

TABLE_MANIFEST = "table_manifest.json"


def write_extra_assets(folder: Path, name: str, golden: GoldenImpressions, requests: Sequence[GoldenRequest],
                       contents: SavedModelContents, ranker: dict[str, Any]) -> None:
    """Writes ``assets.extra`` of a SavedModel.

    Args:
      folder: folder of the SavedModel.
      name: name under which the server serves the model.
      golden: held-out impressions.
      requests: golden requests to every signature.
      contents: contents of the SavedModel.
      ranker: manifest of the ranker.
    """
    extra = folder / EXTRA_ASSETS
    extra.mkdir()
    write_prediction_logs(extra / WARMUP, warmup_logs(name, golden.inputs, contents.inputs))
    write_text(extra / GOLDEN_REQUESTS, golden.as_rest())
    write_prediction_logs(extra / GOLDEN_LOGS, (
        prediction_log(name, request.signature, request.inputs, request.outputs) for request in requests))
    write_text(extra / RANKER_MANIFEST, manifest_text(RANKER_KIND, ranker))
    write_text(extra / TABLE_MANIFEST, manifest_text(SERVED_TABLES_KIND, {
        "tables": contents.tables, "pretrained": ranker["embeddings"]}))
