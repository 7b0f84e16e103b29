"""Shards by size, compressed and not: determined by the rows alone, and readable by both training stages."""

import gzip

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to
from planted import planted_config as planted_tree

from beam_pipelines.build_dataset import build
from beam_pipelines.jobs.job import RUN_FILE
from beam_pipelines.records.record_buffer import RecordBuffer
from beam_pipelines.records.row_order import HASH, SmallestHashes
from beam_pipelines.records.shards import CountShards, _list_shards, summarize_splits
from tfrs_pretrain.config import Config
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.data.impressions import checked_reading, evaluation_batches, training_batches
from tfrs_pretrain.data.pairs import pair_blocks


def _hundred_bytes_each(rows: pa.Table):
    """84 bytes plus 16 bytes of framing per record."""
    yield RecordBuffer(np.zeros(84 * rows.num_rows, np.uint8), np.arange(rows.num_rows + 1) * 84)


@pytest.mark.parametrize(("shard_bytes", "train"), [(1000, 3), (2500, 1), (2499, 2), (100, 25), (10**9, 1)])
def test_number_of_shards_is_bytes_divided_by_the_target(shard_bytes, train):
    parts = [("train", np.arange(0, 10)), ("test", np.arange(2)), ("train", np.arange(10, 25))]
    batches = [(split, pa.RecordBatch.from_pydict({HASH: hashes.astype(np.uint64)})) for split, hashes in parts]
    with test_pipeline.TestPipeline(runner="FnApiRunner") as pipeline:
        numbers = pipeline | beam.Create(batches) | CountShards(("train", "test", "none"), shard_bytes,
                                                                _hundred_bytes_each)
        assert_that(numbers, equal_to([{"train": train, "test": 2 if shard_bytes == 100 else 1, "none": 1}]))


def test_the_sample_has_the_smallest_hashes_of_a_batch():
    hashes = np.random.default_rng(0).permutation(1000).astype(np.uint64)
    batch = pa.RecordBatch.from_pydict({HASH: hashes})
    combine = SmallestHashes(10)
    assert combine.add_input(None, batch)[HASH].to_pylist() == list(range(10))


@pytest.fixture(scope="module")
def sized(planted_logs, tmp_path_factory) -> Dataset:
    folder = tmp_path_factory.mktemp("sized")
    tree = planted_tree()
    tree["dataset"] |= {"shards": None, "shard_bytes": 20000}
    build(Config.model_validate(tree), planted_logs, folder / "out")
    build(Config.model_validate(tree), planted_logs, folder / "again", ["--read_batch_rows=700"])
    for path in (folder / "out").rglob("*"):
        if path.is_file() and path.name != RUN_FILE:
            assert path.read_bytes() == (folder / "again" / path.relative_to(folder / "out")).read_bytes(), path
    return Dataset.open(folder / "out")


def test_shards_have_about_the_configured_size(sized):
    for name, split in sized.info["splits"].items():
        sizes = np.array([shard["bytes"] for shard in split["shards"]])
        total = sizes.sum()
        # The estimated size of a row may be off by a tenth.
        assert abs(len(sizes) - total / 20000) <= 1 + 0.1 * len(sizes), name
        assert sizes.max() < 1.4 * 20000, name
    assert len(sized.files("impressions/train")) > 10 > len(sized.files("pairs/heldout")) == 1


def _records(dataset: Dataset, split: str) -> list[bytes]:
    kind = "GZIP" if dataset.files(split)[0].endswith(".gz") else None
    return sorted(tf.data.TFRecordDataset(dataset.files(split), compression_type=kind).as_numpy_iterator())


def test_the_number_of_shards_does_not_change_the_records(sized, tiny_dataset):
    for split in ("impressions/train", "impressions/validation", "impressions/test"):
        assert _records(sized, split) == _records(tiny_dataset, split)


@pytest.fixture(scope="module")
def compressed(planted_logs, tmp_path_factory) -> Dataset:
    folder = tmp_path_factory.mktemp("compressed")
    tree = planted_tree()
    tree["dataset"] |= {"compression": "gzip"}
    build(Config.model_validate(tree), planted_logs, folder / "out")
    return Dataset.open(folder / "out")


def test_compressed_shards_hold_the_same_bytes(compressed, tiny_dataset):
    for split in tiny_dataset.info["splits"]:
        for packed, plain in zip(compressed.files(split), tiny_dataset.files(split), strict=True):
            with open(packed, "rb") as file, open(plain, "rb") as expected:  # noqa: PTH123
                content = file.read()
                # The header has neither a time nor a file name.
                assert content[3:8] == b"\0" * 5
                assert gzip.decompress(content) == expected.read()


def test_readers_read_compressed_shards(compressed, tiny_dataset):
    with checked_reading(compressed, "impressions/train", "impressions/test"):
        [read] = evaluation_batches(compressed, "impressions/test", batch_size=10**6)
        [trained] = training_batches(compressed, batch_size=1024, seed=1, epoch=0).take(1)
    [expected] = evaluation_batches(tiny_dataset, "impressions/test", batch_size=10**6)
    [uncompressed] = training_batches(tiny_dataset, batch_size=1024, seed=1, epoch=0).take(1)
    np.testing.assert_array_equal(read["key"], expected["key"])
    np.testing.assert_array_equal(trained["user"], uncompressed["user"])
    sizes = [sum(int(tf.size(block["query"])) for block in pair_blocks(dataset.files("pairs/train")))
             for dataset in (compressed, tiny_dataset)]
    assert sizes[0] == sizes[1] > 0


def test_every_shard_of_every_split_is_listed():
    assert list(_list_shards(("train", "test"), {"train": 2, "test": 1, "other": 4})) == [
        (("train", 0, 2), None), (("train", 1, 2), None), (("test", 0, 1), None)]


def test_summaries_are_added_up_by_split_in_the_order_of_paths():
    files = [{"split": split, "path": path, "bytes": 10, "records": 1, "examples": examples, "crc32c": path[::-1],
              "measures": measures} for split, path, examples, measures in (
                  ("b", "b-1", 5, {"n": 2}), ("a", "a-0", 1, {}), ("b", "b-0", 7, {"n": 1, "m": 4}))]
    assert summarize_splits(files) == {
        "a": {"examples": 1, "measures": {}, "shards": [
            {"path": "a-0", "bytes": 10, "records": 1, "examples": 1, "crc32c": "0-a"}]},
        "b": {"examples": 12, "measures": {"n": 3, "m": 4}, "shards": [
            {"path": "b-0", "bytes": 10, "records": 1, "examples": 7, "crc32c": "0-b"},
            {"path": "b-1", "bytes": 10, "records": 1, "examples": 5, "crc32c": "1-b"}]}}
