"""hadolint's opinion of the recipes of all images."""

from pathlib import Path

import pytest

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"

pytestmark = pytest.mark.tools


@pytest.mark.parametrize("path", sorted(DEPLOY.rglob("*Dockerfile")), ids=lambda path: str(path.relative_to(DEPLOY)))
def test_hadolint_finds_nothing(path, tool):
    done = tool("hadolint", "--no-color", path, check=False)
    assert (done.returncode, done.stdout) == (0, "")
