import pytest
from made_study import make_study


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Arms scratch, warm, distilled and one that failed; read-only: tests that change files make their own."""
    return make_study(tmp_path_factory.mktemp("study"))
