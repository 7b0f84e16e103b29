"""Shell commands that serve the exported model."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfrs_pretrain.artifact_names import EXTRA_ASSETS, GOLDEN_REQUESTS


def serving_commands(exported: Mapping[str, Any] | None) -> list[str]:
    """Return shell lines that start TensorFlow Serving and send it the golden requests; empty without a model.

    Args:
      exported: manifest of the exported version.
    """
    if exported is None:
        return []
    name, version = shlex.quote(exported["name"]), Path(exported["path"])
    return [
        f"docker run --rm -p 8501:8501 -e MODEL_NAME={name} \\",
        f"  -v {shlex.quote(str(version.parent.resolve()))}:/models/{name} tensorflow/serving",
        "",
        "# in another shell: the response contains the scores at the end of the same file",
        f"curl -d @{shlex.quote(str(version / EXTRA_ASSETS / GOLDEN_REQUESTS))} "
        f"http://localhost:8501/v1/models/{name}:predict",
    ]
