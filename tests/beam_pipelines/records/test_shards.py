"""Shards sized by bytes, compressed or not: decided by the rows alone and read by the readers that there are."""

import gzip

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to

import tfrs_pretrain  # noqa: F401
from beam_pipelines.build_dataset import build
from beam_pipelines.records.example_encoder import RecordBuffer
from beam_pipelines.records.row_order import HASH, SmallestHashes
from beam_pipelines.records.shards import CountShards
from beam_pipelines.records.tfrecord_writer import write_tfrecord
from tfrs_pretrain.config import Config
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.data.impressions import evaluation_batches, reading, training_batches
from tfrs_pretrain.data.pairs import pair_blocks
from tfrs_pretrain.experiments.logs.planted import planted_config as planted_tree

import tensorflow as tf  # isort: skip


def _hundred_bytes_each(rows: pa.Table):
    """84 bytes and the 16 that frame a record."""
    yield RecordBuffer(np.zeros(84 * rows.num_rows, np.uint8), np.arange(rows.num_rows + 1) * 84)


@pytest.mark.parametrize(("shard_bytes", "train"), [(1000, 3), (2500, 1), (2499, 2), (100, 25), (10**9, 1)])
def test_the_number_of_shards_is_bytes_over_target(shard_bytes, train):
    parts = [("train", np.arange(0, 10)), ("test", np.arange(2)), ("train", np.arange(10, 25))]
    batches = [(split, pa.RecordBatch.from_pydict({HASH: hashes.astype(np.uint64)})) for split, hashes in parts]
    with test_pipeline.TestPipeline(runner="FnApiRunner") as pipeline:
        numbers = pipeline | beam.Create(batches) | CountShards(("train", "test", "none"), shard_bytes,
                                                                _hundred_bytes_each)
        assert_that(numbers, equal_to([{"train": train, "test": 2 if shard_bytes == 100 else 1, "none": 1}]))


def test_the_sample_is_of_the_smallest_hashes_whatever_the_batches():
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
        if path.is_file():
            assert path.read_bytes() == (folder / "again" / path.relative_to(folder / "out")).read_bytes(), path
    return Dataset.open(folder / "out")


def test_shards_are_about_as_large_as_asked_for(sized):
    for name, split in sized.info["splits"].items():
        sizes = np.array([shard["bytes"] for shard in split["shards"]])
        total = sizes.sum()
        # As many as needed, give or take what the estimate of a row is off.
        assert abs(len(sizes) - total / 20000) <= 1 + 0.1 * len(sizes), name
        assert sizes.max() < 1.4 * 20000, name
    assert len(sized.files("impressions/train")) > 10 > len(sized.files("pairs/heldout")) == 1


def _records(dataset: Dataset, split: str) -> list[bytes]:
    kind = "GZIP" if dataset.files(split)[0].endswith(".gz") else None
    return sorted(tf.data.TFRecordDataset(dataset.files(split), compression_type=kind).as_numpy_iterator())


def test_shards_change_where_records_lie_and_nothing_else(sized, tiny_dataset):
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
                # Neither a time nor a name in the header.
                assert content[3:8] == b"\0" * 5
                assert gzip.decompress(content) == expected.read()


def test_readers_read_compressed_shards(compressed, tiny_dataset):
    with reading(compressed, "impressions/train", "impressions/test"):
        [came] = evaluation_batches(compressed, "impressions/test", batch_size=10**6)
        [trained] = training_batches(compressed, batch_size=1024, seed=1, epoch=0).take(1)
    [expected] = evaluation_batches(tiny_dataset, "impressions/test", batch_size=10**6)
    [uncompressed] = training_batches(tiny_dataset, batch_size=1024, seed=1, epoch=0).take(1)
    np.testing.assert_array_equal(came["key"], expected["key"])
    np.testing.assert_array_equal(trained["user"], uncompressed["user"])
    sizes = [sum(int(tf.size(block["query"])) for block in pair_blocks(dataset.files("pairs/train")))
             for dataset in (compressed, tiny_dataset)]
    assert sizes[0] == sizes[1] > 0


def test_an_empty_compressed_file_is_a_file(tmp_path):
    summary = write_tfrecord(str(tmp_path / "x.tfrecord.gz"), [])
    assert summary.records == 0
    assert summary.bytes == (tmp_path / "x.tfrecord.gz").stat().st_size > 0
    assert list(tf.data.TFRecordDataset(str(tmp_path / "x.tfrecord.gz"), compression_type="GZIP")) == []
