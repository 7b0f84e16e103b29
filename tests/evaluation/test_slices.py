import numpy as np
import pytest

from tfrs_pretrain.evaluation.slices import frequency_slices

LABELS = np.array([1, 0, 1, 0, 0, 1])
SCORES = np.array([0.9, 0.2, 0.3, 0.6, 0.5, 0.5])
USERS = np.array([1, 1, 2, 2, 2, 1])
COUNTS = np.array([0, 0, 4, 1, 5, 1_000])


def test_rows_fall_into_the_bucket_of_their_items_count():
    slices = frequency_slices(LABELS, SCORES, USERS, COUNTS)
    assert [s["slice"] for s in slices] == ["0", "1-4", "5-19", "20-99", "100+"]
    assert [s["impressions"] for s in slices] == [2, 2, 1, 0, 1]
    assert [s["positives"] for s in slices] == [1, 1, 0, 0, 1]
    assert [s["auc"] for s in slices] == [1.0, 0.0, None, None, None]
    assert [(s["first"], s["last"]) for s in slices][-2:] == [(20, 99), (100, None)]


def test_buckets_are_parameters():
    slices = frequency_slices(LABELS, SCORES, USERS, COUNTS, starts=(0, 5))
    assert [s["slice"] for s in slices] == ["0-4", "5+"]
    assert slices[0]["auc"] == pytest.approx(3 / 4)


@pytest.mark.parametrize("starts", [(), (1, 5), (0, 5, 5), (0, 9, 5)])
def test_starts_that_do_not_rise_from_zero_are_refused(starts):
    with pytest.raises(ValueError, match="rise from 0"):
        frequency_slices(LABELS, SCORES, USERS, COUNTS, starts)
