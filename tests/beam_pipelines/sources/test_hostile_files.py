"""Files that other tools write: columns that occur twice."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from beam_pipelines.sources import open_source
from tfrs_pretrain.errors import UserError


def test_a_parquet_column_that_occurs_twice_is_refused(tmp_path):
    pq.write_table(pa.Table.from_arrays([pa.array([1]), pa.array([2]), pa.array([3])], ["a", "b", "a"]),
                   tmp_path / "t.parquet")
    with pytest.raises(UserError, match=r"t\.parquet' is not readable as Parquet \(column 'a' occurs 2 times, expected"):
        list(open_source("t", "t.parquet", str(tmp_path)).column_types())
