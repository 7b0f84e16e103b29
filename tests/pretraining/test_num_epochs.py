"""The number of epochs of Stage I where none is set."""

import pytest

from tfrs_pretrain.config import PretrainingConfig
from tfrs_pretrain.pretraining.num_epochs import default_num_epochs, num_epochs


@pytest.mark.parametrize(("pairs", "ids", "epochs"), [
    (8_000, 2_000, 30),       # 4 updates a row and epoch
    (25_000, 3_000, 15),      # 14.4, rounded up
    (80_000, 2_000, 6),       # 3 would do
    (1_000, 1_000, 100),      # 120 at one engagement an ID
    (0, 5, 100)])
def test_every_row_is_updated_120_times_on_average(pairs, ids, epochs):
    assert default_num_epochs(pairs, ids) == epochs


def test_the_larger_table_determines_the_number(tiny_dataset):
    pairs = tiny_dataset.num_examples("pairs/train")
    ids = max(len(tiny_dataset.vocabulary(space).ids) for space in ("user", "item"))
    assert 6 <= num_epochs(PretrainingConfig(), tiny_dataset) == min(100, max(6, -(-120 * ids // pairs)))


def test_a_number_that_is_set_remains_and_earlier_rows_need_only_six(tiny_dataset):
    assert num_epochs(PretrainingConfig(epochs=0), tiny_dataset) == 0
    assert num_epochs(PretrainingConfig(), tiny_dataset, start_from=True) == 6
