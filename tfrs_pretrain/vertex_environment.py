"""Folders that Vertex AI names in the environment of a custom job: gs:// URIs, which it mounts below /gcs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

MODEL, CHECKPOINTS, TENSORBOARD = "AIP_MODEL_DIR", "AIP_CHECKPOINT_DIR", "AIP_TENSORBOARD_LOG_DIR"
_MOUNT = "/gcs/"


def model_folder() -> Path | None:
    """Folder for exported models; None outside of Vertex AI."""
    return vertex_folder(MODEL)


def vertex_folder(name: str, environment: Mapping[str, str] = os.environ) -> Path | None:
    """Path of the folder in a variable of the environment; None if it is not set."""
    value = environment.get(name)
    return Path(_MOUNT + value.removeprefix("gs://") if value.startswith("gs://") else value) if value else None
