"""Hides messages of TensorFlow and Beam that would hide the progress bars."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def quiet_imports() -> Iterator[None]:
    """Captures standard error while the block imports modules; shows it only if the block raises.

    TensorFlow's libraries write to the file descriptor before any of their log settings apply, so the descriptor
    itself is redirected.
    """
    saved = os.dup(2)
    with tempfile.TemporaryFile() as captured:
        os.dup2(captured.fileno(), 2)
        try:
            yield
            if tensorflow := sys.modules.get("tensorflow"):
                tensorflow.config.list_physical_devices("GPU")  # its first call complains if there is no driver
        except Exception:
            captured.seek(0)
            os.write(saved, captured.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)


@contextlib.contextmanager
def quiet_tensorflow() -> Iterator[None]:
    """Hides warnings of TensorFlow, which is imported already, such as those about saving and its session loader."""
    logger = sys.modules["tensorflow"].get_logger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
