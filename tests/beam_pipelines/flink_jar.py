"""What the tests on Flink need: Java, Maven, Linux, and the job server's jar."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from local_servers import ROOT

sys.path.insert(0, str(ROOT / "deploy" / "flink"))
MISSING = [program for program in ("java", "mvn") if not shutil.which(program)]
FLINK_MARKS = [
    pytest.mark.flink,
    pytest.mark.skipif(bool(MISSING), reason=f"{' and '.join(MISSING)} not installed"),
    pytest.mark.skipif(sys.platform != "linux", reason="the cluster needs 127.0.0.2, which only Linux has"),
]


def flink_jar() -> Path:
    """Returns the job server's jar; `make test-flink` has written it already. A failing Maven fails the test."""
    path = ROOT / "build" / "flink-job-server.jar"
    if not path.exists():
        done = subprocess.run([sys.executable, ROOT / "deploy" / "flink" / "class_path_jar.py", path],
                              capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    return path
