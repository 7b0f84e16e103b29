"""Arrays that are made slice by slice have the values of whole ones, on all borders of slices."""

import itertools

import numpy as np
import pytest

from tfrs_pretrain import row_arrays
from tfrs_pretrain.row_arrays import FileRows, NormalRows, PatchedRows, TakenRows

BORDERS = [[0, 7, 10], [0, 1, 2, 9, 10], [0, 10], [0, 3, 3, 10]]


def read(array, borders):
    return np.concatenate([array[start:end] for start, end in itertools.pairwise(borders)])


@pytest.mark.parametrize("borders", [[0, 1000], [0, 1, 2, 999, 1000], [0, 333, 334, 640, 1000], [*range(0, 1001, 40)]])
@pytest.mark.parametrize("dim", [1, 3, 64])
def test_normal_rows_are_those_of_one_draw(monkeypatch, borders, dim):
    """The literal expression by which the rows of all earlier versions were drawn."""
    monkeypatch.setattr(row_arrays, "BLOCK_ROWS", 7)
    expected = np.random.default_rng(5).standard_normal((1000, dim), np.float32) * np.float32(0.05)
    rows = NormalRows(1000, dim, 0.05, seed=5)
    for _ in range(2):  # the second reading begins again
        np.testing.assert_array_equal(read(rows, borders), expected)
    np.testing.assert_array_equal(rows[500:503], expected[500:503])
    np.testing.assert_array_equal(rows[100:700], expected[100:700])
    np.testing.assert_array_equal(np.asarray(NormalRows(1000, dim, 0.05, seed=5)), expected)
    assert rows.dtype == expected.dtype


def test_a_wide_slice_is_skipped_in_blocks(monkeypatch):
    monkeypatch.setattr(row_arrays, "BLOCK_ROWS", 7)
    rows, sizes = NormalRows(1000, 2, 1.0, seed=1), []
    draw = rows._draw
    monkeypatch.setattr(rows, "_draw", lambda count: sizes.append(count) or draw(count))
    rows[900:901]
    assert max(sizes) == 7


@pytest.mark.parametrize("borders", BORDERS)
def test_patched_rows(borders):
    whole, rows = np.arange(20.0).reshape(10, 2), np.array([0, 3, 9])
    expected = whole.copy()
    expected[rows] = -1
    patched = PatchedRows(whole, rows, TakenRows(np.full((5, 2), -1.0), np.array([4, 0, 4])))
    np.testing.assert_array_equal(read(patched, borders), expected)
    np.testing.assert_array_equal(patched[...], expected)
    np.testing.assert_array_equal(patched[[3, 4]], expected[[3, 4]])
    assert (len(patched), patched.shape, patched.ndim, whole[0, 0]) == (10, (10, 2), 2, 0)


@pytest.mark.parametrize("borders", BORDERS)
def test_taken_rows(borders):
    array, rows = np.arange(12.0).reshape(6, 2), np.array([5, 0, 0, 3, 2, 1, 4, 4, 5, 0])
    np.testing.assert_array_equal(read(TakenRows(array, rows), borders), array[rows])


@pytest.mark.parametrize("borders", BORDERS)
@pytest.mark.parametrize("shape", [(10, 2), (10,), (10, 0), (10, 3, 2)])
def test_rows_of_a_file(tmp_path, borders, shape):
    array = np.random.default_rng(0).standard_normal(shape)
    np.save(tmp_path / "a.npy", array)
    rows = FileRows(tmp_path / "a.npy")
    np.testing.assert_array_equal(read(rows, borders), array)
    assert (rows.shape, rows.dtype) == (array.shape, array.dtype)
