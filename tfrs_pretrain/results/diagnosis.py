"""The diagnosis in a study's folder, if it contains one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tfrs_pretrain.diagnosis.advice import advice
from tfrs_pretrain.diagnosis.diagnosis import Diagnosis
from tfrs_pretrain.diagnosis.run import FILE
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.json_documents import parse_document


def read_diagnosis(folder: Path) -> dict[str, Any] | None:
    """Read ``diagnosis.json`` in the folder or in its subfolder ``diagnosis``.

    Returns:
      its content and ``advice``, a list of sentences. None: there is no such file.

    Raises:
      UserError: the file is not a diagnosis of this version.
    """
    path = next((path for path in (folder / FILE, folder / "diagnosis" / FILE) if path.is_file()), None)
    if path is None:
        return None
    try:
        content = parse_document(path.read_bytes(), path)
        return {**content, "advice": advice(Diagnosis.from_json(content))}
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{str(path)!r} is not a diagnosis of this version ({error!r}): run `tfrs-pretrain diagnose` "
                        "again, or move the file away") from error
