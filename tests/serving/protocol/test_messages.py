"""Importing serving has no side effects: no TensorFlow, no environment variables, in any order."""

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.parametrize("program", ["import_client.py", "import_after_tensorflow.py"])
def test_imports_are_harmless(program):
    done = subprocess.run([sys.executable, str(HERE / program)], check=False, capture_output=True, text=True,
                          timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]
