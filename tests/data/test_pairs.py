"""Every pair once an epoch, in an order that the seed and the epoch decide; damaged files by name."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tfrs_pretrain.data.pairs import pair_blocks, report_corrupt_files, shuffled_batches
from tfrs_pretrain.errors import UserError

PAIRS = 3000


def block(query, candidate):
    def as_feature(rows):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[np.asarray(rows, "<i4").tobytes()]))

    return tf.train.Example(features=tf.train.Features(feature={
        "query": as_feature(query), "candidate": as_feature(candidate)})).SerializeToString()


@pytest.fixture
def files(tmp_path):
    paths = []
    rows = np.arange(PAIRS)
    for shard, part in enumerate(np.array_split(rows, 3)):
        paths.append(str(tmp_path / f"train-{shard}.tfrecord"))
        with tf.io.TFRecordWriter(paths[-1]) as writer:
            for piece in np.array_split(part, 7):
                writer.write(block(piece, piece + 10_000))
    return paths


def queries(dataset):
    batches = list(dataset.as_numpy_iterator())
    for batch in batches:
        np.testing.assert_array_equal(batch["candidate"], batch["query"] + 10_000)
    return np.concatenate([batch["query"] for batch in batches])


@pytest.mark.parametrize("window", [64, 1000, 1 << 20])
def test_each_pair_comes_once_in_another_order_each_epoch(files, window):
    first = queries(shuffled_batches(files, 100, seed=1, epoch=1, window=window))
    np.testing.assert_array_equal(np.sort(first), np.arange(PAIRS))
    np.testing.assert_array_equal(first, queries(shuffled_batches(files, 100, seed=1, epoch=1, window=window)))
    for other in ({"seed": 1, "epoch": 2}, {"seed": 2, "epoch": 1}):
        assert not np.array_equal(first, queries(shuffled_batches(files, 100, window=window, **other)))


def test_one_file_is_permuted_anew_each_epoch_and_in_each_window(files):
    orders = [queries(shuffled_batches(files[:1], 100, seed=1, epoch=epoch, window=500)) for epoch in (1, 2)]
    assert not np.array_equal(*orders)
    first, second = orders[0].reshape(2, 500)
    assert set(first) == set(range(500))
    assert not np.array_equal(first, second - 500)


def test_a_window_over_everything_mixes_everything(files):
    order = queries(shuffled_batches(files, 100, seed=3, epoch=1))
    # The mean place of a uniform permutation's batch is 1499.5 with standard deviation 86; files would give 50, 150...
    assert np.abs(order.reshape(30, 100).mean(axis=1) - 1499.5).max() < 5 * 86
    assert np.abs(np.corrcoef(order, np.arange(PAIRS))[0, 1]) < 0.1


def test_last_pairs_that_fill_no_batch_are_left_out(files):
    dataset = shuffled_batches(files, 700, seed=1, epoch=1)
    assert dataset.element_spec == {name: tf.TensorSpec([700], tf.int32) for name in ("query", "candidate")}
    assert len(queries(dataset)) == 2800


def test_corrupt_file_is_named_with_its_record(files):
    with open(files[1], "r+b") as file:  # noqa: PTH123
        file.seek(1500)
        file.write(b"\xff" * 8)
    # The first record: its length, a CRC of it, the data, a CRC of that.
    second = 8 + 4 + len(block(np.arange(1000, 1143), np.arange(11000, 11143))) + 4
    with (pytest.raises(UserError, match=rf"train-1\.tfrecord' cannot be read at record 1, .* at byte {second}:"),
          report_corrupt_files(files)):
        queries(shuffled_batches(files, 100, seed=1, epoch=1))


def test_truncated_file_is_named_with_the_offset_of_its_last_record(files):
    whole = [len(record.numpy()) + 16 for record in tf.data.TFRecordDataset(files[2])]
    with open(files[2], "r+b") as file:  # noqa: PTH123
        file.truncate(sum(whole) - 5)
    with (pytest.raises(UserError, match=rf"train-2\.tfrecord' .* record 6, .* byte {sum(whole[:6])}:"),
          report_corrupt_files(files)):
        queries(shuffled_batches(files, 100, seed=1, epoch=1))


def test_a_file_that_disappears_while_it_is_read_is_named(files):
    message = r"pairs '.*train-1\.tfrecord' is missing, but was there .* then run the same command again"
    with pytest.raises(UserError, match=message) as error, report_corrupt_files(files):
        batches = shuffled_batches(files, 100, seed=1, epoch=1)
        Path(files[1]).unlink()
        queries(batches)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("window", [64, 1000, 1 << 20])
@pytest.mark.parametrize("start", [0, 1, 10, 23, 30])
def test_an_epoch_can_start_at_any_of_its_batches(files, window, start):
    whole = queries(shuffled_batches(files, 100, seed=1, epoch=2, window=window))
    rest = list(shuffled_batches(files, 100, seed=1, epoch=2, window=window, start=start).as_numpy_iterator())
    assert len(rest) == 30 - start
    if rest:
        np.testing.assert_array_equal(np.concatenate([batch["query"] for batch in rest]), whole[100 * start:])


def test_record_of_another_kind_is_named(tmp_path):
    path = str(tmp_path / "odd.tfrecord")
    with tf.io.TFRecordWriter(path) as writer:
        writer.write(block([1, 2], [3]))
    with pytest.raises(UserError, match=r"odd\.tfrecord' cannot be read at record 0"), report_corrupt_files([path]):
        list(pair_blocks([path]))


def test_place_in_a_compressed_file_is_that_of_its_content(tmp_path):
    path, sound = str(tmp_path / "odd.tfrecord.gz"), block([1, 2], [3, 4])
    with tf.io.TFRecordWriter(path, "GZIP") as writer:
        for record in (sound, block([1, 2], [3])):
            writer.write(record)
    message = f"at record 1, which starts at byte {len(sound) + 16} of its uncompressed content: the file is corrupt"
    with pytest.raises(UserError, match=message), report_corrupt_files([path]):
        list(pair_blocks([path]))


def test_an_error_elsewhere_passes_unchanged(files):
    with pytest.raises(tf.errors.InvalidArgumentError, match="mine"), report_corrupt_files(files):
        raise tf.errors.InvalidArgumentError(None, None, "mine")


def test_no_tuner_holds_up_the_end_of_an_epoch(files):
    assert shuffled_batches(files, 100, seed=1, epoch=1).options().autotune.enabled is False
