"""Files of an exported version; usable without TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tfrs_pretrain.artifacts import read_manifest
from tfrs_pretrain.errors import UserError

KIND = "saved_model"
EXTRA = "assets.extra"
WARMUP = "tf_serving_warmup_requests"
GOLDEN_JSON = "golden_requests.json"  # serving_default only, as the body of a REST request
GOLDEN_LOGS = "golden_requests.tfrecord"  # all signatures, PredictionLogs with request and expected response
GRAPH = "saved_model.pb"


def read_version(folder: Path) -> dict[str, Any]:
    """Reads the manifest of an exported version.

    Args:
      folder: ``MODELS/<name>/<version>``.

    Raises:
      UserError: the folder is no complete version, or was renamed.
    """
    manifest = read_manifest(folder / EXTRA, KIND)
    if folder.resolve().name != str(manifest["version"]):
        raise UserError(f"{str(folder)!r} was exported as version {manifest['version']}: pass the folder of a version")
    return manifest
