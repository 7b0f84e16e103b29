"""A hand-made artifact, opened as users open it."""

import pytest
from handmade_rows import save_rows

import tfrs_pretrain as tp


@pytest.fixture
def rows_folder(tmp_path):
    return save_rows(tmp_path / "rows")


@pytest.fixture
def opened_rows(rows_folder):
    return tp.Embeddings.open(rows_folder)
