"""Files of an exported version; usable without TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tfrs_pretrain.artifact_names import EXTRA_ASSETS, SAVED_MODEL_KIND
from tfrs_pretrain.artifacts import read_manifest
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.file_digests import check_files

WARMUP = "tf_serving_warmup_requests"
GOLDEN_LOGS = "golden_requests.tfrecord"  # all signatures, PredictionLogs with request and expected response


def read_version(folder: Path) -> dict[str, Any]:
    """Reads the manifest of an exported version and compares its files with it.

    Args:
      folder: ``MODELS/<name>/<version>``.

    Raises:
      UserError: the folder is no complete version, was renamed, or a file is damaged.
    """
    manifest = read_manifest(folder / EXTRA_ASSETS, SAVED_MODEL_KIND)
    if folder.resolve().name != str(manifest["version"]):
        raise UserError(f"{str(folder)!r} was exported as version {manifest['version']}: pass the folder of a version")
    check_files(folder, manifest)
    return manifest
