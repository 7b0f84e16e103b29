"""The diagnosis that lies in a study's folder, if one does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tfrs_pretrain.diagnosis.advice import advice
from tfrs_pretrain.diagnosis.diagnosis import Diagnosis
from tfrs_pretrain.diagnosis.run import FILE
from tfrs_pretrain.errors import UserError


def diagnosis(folder: Path) -> dict[str, Any] | None:
    """Content of ``diagnosis.json``, in the folder or in ``diagnosis/`` below it, with its ``advice`` in sentences.

    Raises:
      UserError: the file is no diagnosis.
    """
    path = next((path for path in (folder / FILE, folder / "diagnosis" / FILE) if path.is_file()), None)
    if path is None:
        return None
    try:
        content = json.loads(path.read_text())
        return {**content, "advice": advice(Diagnosis.from_json(content))}
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{str(path)!r} is no diagnosis of this version ({error!r}): run `tfrs-pretrain diagnose` "
                        "again, or move it away") from error
