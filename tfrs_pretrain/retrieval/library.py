"""Import of Faiss, an optional dependency."""

from __future__ import annotations

import importlib
from types import ModuleType

from tfrs_pretrain.errors import UserError


def load_faiss() -> ModuleType:
    """Imports and returns the module ``faiss``.

    Raises:
      UserError: Faiss is not installed.
    """
    try:
        return importlib.import_module("faiss")
    except ImportError as error:
        raise UserError(f"item indexes need Faiss ({error}): pip install 'tfrs-pretrain[retrieval]'") from error
