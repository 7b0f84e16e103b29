"""Hashes of events and keys of impressions against plain Python integers."""

import naive_hashing as naive
import numpy as np
import pyarrow as pa
from planted import planted_config

from beam_pipelines.logs.keys import event_hash, request_hash, unique_keys
from tfrs_pretrain.config import Config

ROWS = [(1, "a", 5), (1, "é", 5), (2**62, "", -7), (0, "a", 5)]


def _batch(rows=ROWS, **columns) -> pa.RecordBatch:
    users, items, times = zip(*rows, strict=True)
    return pa.RecordBatch.from_pydict({"user_id": list(users), "item_id": list(items), "@time": list(times)} | columns)


def test_an_event_is_identified_by_user_item_and_time():
    assert event_hash(_batch()).tolist() == [naive.event(*row) for row in ROWS]


def test_context_features_are_part_of_an_event_in_their_order():
    surface, dwell = (feature for feature in Config.model_validate(planted_config()).schema_.features
                      if feature.source == "impressions")
    batch = _batch([ROWS[0]] * 4, surface=pa.array(["x", "x", "y", None]).dictionary_encode(),
                   dwell=pa.array([1.0, 2.0, 1.0, 1.0], pa.float32()))
    hashes = event_hash(batch, [surface, dwell])
    assert len(set(hashes.tolist())) == 4
    first = naive.combine(naive.event(*ROWS[0]), naive.hash_id("x"))
    assert int(event_hash(batch, [surface])[0]) == first
    assert int(hashes[0]) == naive.combine(first, naive.hash_id(0x3F800000))  # the bits of 1.0
    assert hashes.tolist() != event_hash(batch, [dwell, surface]).tolist()


def test_a_request_is_a_user_and_the_text_of_a_column():
    hashes = request_hash(pa.array([1, 2, 1]), pa.array([7, 7, 10]))
    assert hashes.dtype == np.int64
    assert hashes.tolist() == [naive.signed(naive.combine(naive.hash_id(user), naive.hash_id(page)))
                               for user, page in ((1, "7"), (2, "7"), (1, "10"))]


def test_rows_of_equal_hash_are_numbered_from_zero():
    hashes = [0, 0, 3, 2**63, 2**64 - 1, 2**64 - 1, 2**64 - 1]
    numbers = [0, 1, 0, 0, 0, 1, 2]
    keys = unique_keys(np.array(hashes, np.uint64))
    assert keys.dtype == np.int64
    assert keys.tolist() == [naive.signed(naive.combine(hashed, number))
                             for hashed, number in zip(hashes, numbers, strict=True)]
    assert unique_keys(np.array([], np.uint64)).tolist() == []
