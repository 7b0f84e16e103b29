import pytest
from example_study import write_example


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Example study; read-only: tests that change files write their own."""
    return write_example(tmp_path_factory.mktemp("study"))
