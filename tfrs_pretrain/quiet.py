"""Imports without the start-up chatter of TensorFlow and Beam, which would bury the progress bars."""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from types import ModuleType


def import_quietly(name: str) -> ModuleType:
    """Imports a module; what C++ and Python write to standard error meanwhile shows only when the import fails.

    TensorFlow's libraries write to the file descriptor before any of their log settings apply, so it is redirected.
    """
    saved = os.dup(2)
    with tempfile.TemporaryFile() as captured:
        os.dup2(captured.fileno(), 2)
        try:
            module = importlib.import_module(name)
            if tensorflow := sys.modules.get("tensorflow"):
                tensorflow.config.list_physical_devices("GPU")  # where there is no driver, it complains on first use
        except Exception:
            captured.seek(0)
            os.write(saved, captured.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)
    return module
