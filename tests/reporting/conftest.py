import example_results
import pytest


@pytest.fixture
def results():
    """Results of a demo; every test has its own copy."""
    return example_results.results()
