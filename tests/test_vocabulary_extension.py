"""Extension in blocks: the same bytes for all sizes of blocks, and memory that does not contain the ids."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from vocabulary_windows import window_tables

from tfrs_pretrain import vocabulary_extension
from tfrs_pretrain.lifecycle_rules import LifecycleRules
from tfrs_pretrain.vocabulary import Vocabulary
from tfrs_pretrain.vocabulary_extension import EarlierVocabulary, ExtendedVocabulary, WindowCounts
from tfrs_pretrain.vocabulary_lifecycle import begin

RULES = {"none": None, "ttl": LifecycleRules(0.5, ttl_windows=1),
         "recent": LifecycleRules(0.5, eviction="least_recent"),
         "frequent": LifecycleRules(0.9, eviction="least_frequent")}


def drawn(random, is_text, size):
    numbers = random.choice(60, size, replace=False)
    return pa.array([f"ü{number}" for number in numbers]) if is_text else pa.array(numbers - 5)


def written(folder, earlier, tables, rules, max_size):
    """Bytes of the vocabulary of the next window and of its look-up file."""
    earlier.save(folder / "earlier.parquet")
    window = WindowCounts.read(earlier.id_lookup, tables, 2)
    later = ExtendedVocabulary(EarlierVocabulary(folder / "earlier.parquet", earlier.id_lookup), window,
                               max_size=max_size, life_cycle=(20, rules) if rules else None)
    later.save(folder / "later.parquet")
    later.save_lookup(folder / "later.arrow")
    return [(folder / name).read_bytes() for name in ("later.parquet", "later.arrow")]


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("is_text", [False, True])
def test_bytes_do_not_depend_on_the_blocks(rules, is_text, tmp_path, monkeypatch):
    random = np.random.default_rng([is_text, len(rules)])
    first = Vocabulary.from_counts(drawn(random, is_text, 30), random.integers(1, 4, 30), oov_rows=2)
    first = (begin(first, 10) if RULES[rules] else first).with_freed(np.array([2, 7, 8, 25]))
    ids, counts = drawn(random, is_text, 40), random.integers(1, 4, 40)
    for max_size in (None, 26, 35):
        expected = written(tmp_path, first, window_tables(ids, counts), RULES[rules], max_size)
        for size, cuts in ((1, (0, 3)), (4, (7, 7, 25)), (26, (1,))):
            with monkeypatch.context() as patch:
                patch.setattr(vocabulary_extension, "ROW_GROUP", size)
                assert written(tmp_path, first, window_tables(ids, counts, cuts), RULES[rules], max_size) == expected


def test_an_empty_vocabulary_is_extended(tmp_path):
    empty = Vocabulary.from_counts(pa.array([], pa.string()), np.array([], np.int64), oov_rows=2)
    written(tmp_path, empty, window_tables(pa.array(["b", "a", "c"]), [2, 3, 1]), None, None)
    assert Vocabulary.load(tmp_path / "later.parquet").ids.to_pylist() == ["a", "b"]
    written(tmp_path, empty, window_tables(pa.array([], pa.string()), []), None, None)
    assert Vocabulary.load(tmp_path / "later.parquet").num_ids == 0


@pytest.mark.parametrize("rules", ["none", "recent"])
def test_the_memory_contains_one_block(rules, tmp_path, monkeypatch):
    monkeypatch.setattr(vocabulary_extension, "ROW_GROUP", 1000)
    ids = pa.array([f"{number:060d}" for number in range(60_000)])
    first = Vocabulary(ids[:40_000], np.arange(40_000, 0, -1), 2)
    first = begin(first, 10) if RULES[rules] else first
    pq.write_table(first.table(), tmp_path / "earlier.parquet", row_group_size=1000)
    tables = window_tables(ids[20_000:], np.arange(40_000, 0, -1), range(1000, 40_000, 1000))
    earlier = EarlierVocabulary(tmp_path / "earlier.parquet", first.id_lookup)
    before = pa.total_allocated_bytes()
    later = ExtendedVocabulary(earlier, WindowCounts.read(first.id_lookup, tables, 1), max_size=50_000 if RULES[
        rules] else None, life_cycle=(20, RULES[rules]) if RULES[rules] else None)
    used = [pa.total_allocated_bytes() - before for _ in later.parts()]
    assert len(used) >= 40
    assert max(used) < 0.4 * ids.nbytes
