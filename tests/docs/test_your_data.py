"""Runs the files and commands of docs/your_data.md exactly as shown, on generated logs of three shapes."""

import re
from pathlib import Path

import pytest
from typed_pages import type_page

PAGE = Path(__file__).resolve().parents[2] / "docs" / "your_data.md"


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """Returns a folder after all steps of the page, and the output."""
    folder = tmp_path_factory.mktemp("your_data")
    page = re.sub(r"^## Questions$.*", "", PAGE.read_text(), flags=re.MULTILINE | re.DOTALL)
    return folder, type_page(page, folder)


@pytest.mark.slow
def test_it_runs(followed):
    print(followed[1])
