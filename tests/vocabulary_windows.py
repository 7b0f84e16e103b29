"""Vocabularies extended by the counts of a window, as the dataset job does it."""

import itertools
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tfrs_pretrain.id_arrays import sortable
from tfrs_pretrain.vocabulary import Vocabulary
from tfrs_pretrain.vocabulary_extension import EarlierVocabulary, ExtendedVocabulary, WindowCounts


def advance(earlier, ids, counts, end, rules, *, min_count=1, max_size=None):
    """The vocabulary of a later window with a life cycle, from counts in any order."""
    return _written(earlier, ids, counts, min_count, max_size, (end, rules))


def extended(earlier, ids, counts, *, min_count=1, max_size=None):
    """The vocabulary of a later window, in which every id keeps its row, from counts in any order."""
    return _written(earlier, ids, counts, min_count, max_size, None)


def window_tables(ids, counts, cuts=()):
    """The columns value and count in the order (-count, value), cut into tables."""
    table = pa.table({"value": ids, "count": np.asarray(counts, np.int64)})
    table = table.set_column(0, "value", sortable(table["value"]))
    table = table.sort_by([("count", "descending"), ("value", "ascending")])
    bounds = [0, *cuts, table.num_rows]
    return [table.slice(start, end - start) for start, end in itertools.pairwise(bounds)]


def _written(earlier, ids, counts, min_count, max_size, life_cycle):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "earlier.parquet")
        earlier.save(path)
        window = WindowCounts.read(earlier.id_lookup, window_tables(ids, counts), min_count)
        later = ExtendedVocabulary(EarlierVocabulary(path, earlier.id_lookup), window, max_size=max_size,
                                   life_cycle=life_cycle)
        later.save(path.with_name("later.parquet"))
        later.save_lookup(path.with_name("later.arrow"))
        read = Vocabulary.load(path.with_name("later.parquet"))
        read.id_lookup.save(path.with_name("whole.arrow"))
        pq.write_table(read.table(), path.with_name("whole.parquet"))
        for kind in ("parquet", "arrow"):  # files in parts have the bytes of whole ones
            assert path.with_name(f"later.{kind}").read_bytes() == path.with_name(f"whole.{kind}").read_bytes()
        return read
