"""The parts of the pairs job: hold-out, blocks, measures, probabilities."""

import naive_hashing as naive
import numpy as np
import pyarrow as pa
import pytest
from planted import planted_config

from beam_pipelines.build_pairs import encode_pairs, is_heldout, measure_pairs, write_probability
from beam_pipelines.jobs.job import Job
from beam_pipelines.records.example_parser import parse_examples
from beam_pipelines.transforms.id_lookups import SharedLookups
from beam_pipelines.transforms.vocabularies import save_vocabulary
from tfrs_pretrain.config import Config
from tfrs_pretrain.vocabulary import Vocabulary


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 1.0])
def test_engagements_are_held_out_by_a_salted_hash(share):
    hashes = [naive.event(user, item, 0) for user in range(20) for item in range(20)]
    expected = [naive.fraction(naive.mix((hashed + 1) & naive.MASK)) < share for hashed in hashes]
    assert is_heldout(np.array(hashes, np.uint64), share).tolist() == expected


def test_what_is_held_out_does_not_follow_from_the_shard():
    """Shards are the hash modulo their number: each has the same share of held-out engagements."""
    hashes = np.random.default_rng(0).integers(0, 2**63, 40000, np.int64).astype(np.uint64)
    heldout = is_heldout(hashes, 0.25)
    for shards in (2, 8):
        shares = [heldout[hashes % np.uint64(shards) == shard].mean() for shard in range(shards)]
        assert shares == pytest.approx([0.25] * shards, abs=0.03)


PAIRS = pa.table({"query": pa.array([0, 5, 6], pa.int32()), "candidate": pa.array([9, 1, 7], pa.int32()),
                  "relation": pa.array([1, 0, 1], pa.int32()), "weight": pa.array([0.5, 2.0, 0.5], pa.float32()),
                  "@hash": pa.array([1, 2, 3], pa.uint64())})


def test_blocks_have_the_requested_columns_and_number_of_pairs():
    blocks = list(encode_pairs(PAIRS, pairs_per_block=2, columns=["query", "weight"]))
    decoded = []
    for records in blocks:
        assert len(records) == 1
        columns = parse_examples(records)
        assert set(columns) == {"query", "weight"}
        decoded.append({name: np.frombuffer(columns[name][0].values.tobytes(), dtype).tolist()
                        for name, dtype in (("query", "<i4"), ("weight", "<f4"))})
    assert decoded == [{"query": [0, 5], "weight": [0.5, 2.0]}, {"query": [6], "weight": [0.5]}]


@pytest.mark.parametrize(("user_oov_rows", "item_oov_rows", "expected"), [
    (1, 1, (1, 0)), (6, 2, (2, 1)), (7, 9, (3, 2))])
def test_ids_outside_the_vocabulary_are_counted(user_oov_rows, item_oov_rows, expected):
    measures = measure_pairs(PAIRS, user_oov_rows=user_oov_rows, item_oov_rows=item_oov_rows)
    assert (measures["oov_users"], measures["oov_items"]) == expected


@pytest.mark.parametrize(("rows", "counts", "expected"), [
    ([1, 3], [3, 1], [0, 0.75, 0, 0.25]), ([], [], [0, 0, 0, 0])])
def test_probabilities_are_shares_without_a_floor(rows, counts, expected, tmp_path):
    job = Job(Config.model_validate(planted_config()), "raw", str(tmp_path))
    for name, (dtype, oov_rows) in {"user": (pa.int64(), 2), "item": (pa.string(), 2), "surface": (pa.string(), 1),
                                    "topic": (pa.int64(), 1), "country": (pa.string(), 1)}.items():
        ids = pa.array(["a", "b"] if dtype == pa.string() else [1, 2], dtype)
        save_vocabulary(Vocabulary(ids, np.array([1, 1]), oov_rows), job.folder, name)
    path = write_probability((np.array(rows, np.int64), np.array(counts, np.int64)), job,
                             SharedLookups(job))
    assert path == f"{tmp_path}/pairs/candidate_probability.npy"
    probability = np.load(path)
    assert (probability.dtype, probability.tolist()) == (np.float64, expected)
