import numpy as np
import pytest

from tfrs_pretrain.evaluation.slices import Slicing, by_frequency, by_novelty, frequency_slices

LABELS = np.array([1, 0, 1, 0, 0, 1])
SCORES = np.array([0.9, 0.2, 0.3, 0.6, 0.5, 0.5])
USERS = np.array([1, 1, 2, 2, 2, 1])
COUNTS = np.array([0, 0, 4, 1, 5, 1_000])


def test_impressions_fall_into_the_bucket_of_their_items_count():
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
    for cut in (lambda: frequency_slices(LABELS, SCORES, USERS, COUNTS, starts), lambda: by_frequency(COUNTS, starts)):
        with pytest.raises(ValueError, match="rise from 0"):
            cut()


def test_requests_of_a_bucket_are_ranked_inside_it():
    slices = frequency_slices(LABELS, SCORES, USERS, COUNTS, starts=(0, 5), requests=np.array([1, 1, 2, 2, 2, 3]))
    # Request 1: the positive first; request 2 in the bucket: the positive second of two.
    assert slices[0]["ndcg@5"] == pytest.approx((1 + 1 / np.log2(3)) / 2)
    assert slices[1]["ndcg@5"] is None


def test_new_ids_are_those_without_engagements_in_the_pretraining_window():
    cut = by_novelty("items", COUNTS)
    assert (cut.parts, cut.positions(0).tolist(), cut.positions(1).tolist()) == (("new", "known"), [0, 1], [2, 3, 4, 5])


def test_the_largest_parts_are_kept_and_the_rest_is_one():
    cut = Slicing("brand", ("a", "b", "c", "d"), np.array([3, 1, 1, 0, 3, 1, 2])).largest(2)
    assert cut.parts == ("b", "d", "2 others")
    assert [cut.positions(part).tolist() for part in range(3)] == [[1, 2, 5], [0, 4], [3, 6]]
    assert Slicing("brand", ("a", "b"), np.array([1, 0])).largest(2).parts == ("a", "b")


def test_named_parts_alone_one_of_them_absent():
    cut = Slicing("brand", ("a", "b", "c"), np.array([0, 1, 2, 1])).only(["b", "z", "a"])
    assert cut.parts == ("b", "z", "a")
    assert [cut.positions(part).tolist() for part in range(3)] == [[1, 3], [], [0]]


@pytest.mark.parametrize(("count", "bucket"), [
    (0, "0"), (1, "1-4"), (4, "1-4"), (5, "5-19"), (19, "5-19"), (20, "20-99"), (99, "20-99"), (100, "100+"),
    (10**6, "100+")])
def test_both_ends_of_a_bucket_belong_to_it(count, bucket):
    slicing = by_frequency(np.array([count]))
    assert slicing.name == "item_frequency"
    assert slicing.parts[slicing.codes[0]] == bucket


def test_parts_of_equal_size_keep_their_order():
    slicing = Slicing("brand", ("a", "b", "c", "d"), np.array([0, 1, 2, 3, 3])).largest(3)
    assert slicing.parts == ("d", "a", "b", "1 others")


def test_every_impression_is_in_exactly_one_part():
    codes = np.random.default_rng(0).integers(0, 5, 100)
    slicing = Slicing("brand", tuple("abcde"), codes)
    positions = np.concatenate([slicing.positions(part) for part in range(5)])
    assert sorted(positions.tolist()) == list(range(100))
