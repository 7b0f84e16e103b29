"""Arrays that are written block by block equal those that numpy writes."""

import numpy as np
import pytest

from tfrs_pretrain.array_files import write_array


@pytest.mark.parametrize("array", [
    np.arange(21, dtype=np.float32).reshape(7, 3), np.array(5, np.int64), np.array([True, False]),
    np.empty((0, 4), np.float32), np.arange(6.0).reshape(2, 3).T])
def test_the_bytes_are_those_of_numpy(tmp_path, array):
    blocks = [array] if array.ndim == 0 else [array[start:start + 2] for start in range(0, len(array), 2)]
    write_array(tmp_path / "blocks.npy", array.shape, array.dtype, blocks)
    np.save(tmp_path / "whole.npy", np.ascontiguousarray(array).reshape(array.shape))
    assert (tmp_path / "blocks.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()


def test_missing_rows_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"a.npy: expected \(3, 2\) values, received 4"):
        write_array(tmp_path / "a.npy", (3, 2), np.dtype(np.float32), [np.zeros((2, 2))])
