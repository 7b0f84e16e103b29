"""Look-up by sorted hashes against dictionaries, with colliding hashes, in memory and from a mapped file."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vocabulary_windows import advance

from tfrs_pretrain import hash_order, hashing, id_lookup
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.hash_order import in_hash_order, in_hash_order_on_disk
from tfrs_pretrain.hashing import hash_ids
from tfrs_pretrain.id_lookup import IdLookup, write_parts
from tfrs_pretrain.lifecycle_rules import LifecycleRules
from tfrs_pretrain.vocabulary import Vocabulary, occurring_rows
from tfrs_pretrain.vocabulary_lifecycle import begin

OOV_ROWS = 3
TEXTS = st.lists(st.text("aé0", max_size=3), unique=True, max_size=25)
NUMBERS = st.lists(st.integers(-2**63, 2**63 - 1) | st.integers(-9, 9), unique=True, max_size=25)


def _lookup(ids, dtype, rows=None):
    rows = np.arange(len(ids)) + OOV_ROWS if rows is None else np.array(rows)
    return IdLookup.from_ids(pa.array(ids, dtype), rows, oov_rows=OOV_ROWS, num_rows=OOV_ROWS + len(ids), digest="d")


def _naive(ids, values, hashes):
    rows = {value: OOV_ROWS + place for place, value in enumerate(ids)}
    return [rows.get(value, int(number % np.uint64(OOV_ROWS))) for value, number in zip(values, hashes, strict=True)]


@pytest.fixture(autouse=True, scope="module")
def _small_parts():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hash_order, "IDS_PER_PART", 4)
        yield


@given(TEXTS, TEXTS, st.booleans())
def test_strings_have_the_rows_of_a_dictionary(ids, others, colliding):
    with pytest.MonkeyPatch.context() as patch:
        if colliding:  # two values of the hash, so that every part has runs of equal hashes
            for module in (hash_order, id_lookup):
                patch.setattr(module, "hash_ids", lambda values: hash_ids(values) & np.uint64(1 << 63))
        values = [*ids, *others, *ids]
        hashes = id_lookup.hash_ids(pa.array(values, pa.string()))
        expected = _naive(ids, values, hashes)
        assert _lookup(ids, pa.string()).lookup(pa.array(values, pa.string())).tolist() == expected


@given(NUMBERS, NUMBERS)
def test_integers_have_the_rows_of_a_dictionary(ids, others):
    values = [*others, *ids]
    expected = _naive(ids, values, hash_ids(np.array(values, np.int64)))
    assert _lookup(ids, pa.int64()).lookup(pa.array(values, pa.int64())).tolist() == expected


def test_texts_that_really_collide_are_told_apart():
    """A polynomial modulo 2^64 with an odd base has one value for a Thue-Morse word and for its complement."""
    word = "".join("ab"[number.bit_count() % 2] for number in range(2**11))
    other = word.translate(str.maketrans("ab", "ba"))
    first, second = hash_ids(pa.array([word, other]))
    assert first == second
    assert _lookup([other, "x", word], pa.string()).lookup(pa.array([word, other, "y"]))[:2].tolist() == [5, 3]
    row = int(first % np.uint64(OOV_ROWS))
    assert _lookup([other], pa.string()).lookup(pa.array([word, other])).tolist() == [row, 3]


@given(TEXTS | NUMBERS, st.integers(1, 9))
@settings(max_examples=20)
def test_parts_on_disk_equal_those_in_memory(ids, step):
    ids = pa.array(ids, pa.string() if all(isinstance(value, str) for value in ids) else pa.int64())
    rows = np.arange(len(ids))
    batches = [(ids[start:start + step], rows[start:start + step]) for start in range(0, len(ids), step)]
    expected = [part for part in in_hash_order(ids, rows) if part.num_rows]
    assert [part for part in in_hash_order_on_disk(batches, len(ids)) if part.num_rows] == expected
    assert np.all(np.diff(np.concatenate([[], *(part["hash"].to_numpy() for part in expected)]).astype(float)) >= 0)


@pytest.mark.parametrize(("ids", "dtype", "asked"), [
    (["b", "", "é", "a", "cc"], pa.string(), ["é", None, "zz", "b"]),
    ([7, -1, 3, 9, 2**62], pa.int64(), [3, None, 4, 7]), ([], pa.string(), ["a", None])])
def test_a_mapped_file_answers_as_the_memory_does(ids, dtype, asked, tmp_path):
    lookup = _lookup(ids, dtype)
    lookup.save(tmp_path / "v.lookup.arrow")
    mapped = IdLookup.open(tmp_path / "v.lookup.arrow", "d")
    assert (mapped.dtype, mapped.oov_rows, mapped.num_rows) == (lookup.dtype, OOV_ROWS, OOV_ROWS + len(ids))
    before = pa.total_allocated_bytes()
    values = pa.array(asked, dtype)
    assert mapped.lookup(values).tolist() == lookup.lookup(values).tolist()
    chunks = pa.chunked_array([values[:1], values[1:]])
    assert mapped.lookup(chunks).tolist() == mapped.lookup(values).tolist()
    assert mapped.lookup(values.dictionary_encode()).tolist() == mapped.lookup(values).tolist()
    assert pa.total_allocated_bytes() - before < 2000  # the ids themselves stay in the file
    with pytest.raises(TypeError, match=f"expected values of type {dtype}, as in this vocabulary, received double"):
        mapped.lookup(pa.array([1.5]))


def _message(path, digest="d"):
    with pytest.raises(UserError) as caught:
        IdLookup.open(path, digest)
    return str(caught.value)


def test_files_that_do_not_fit_are_named(tmp_path):
    path = tmp_path / "v.lookup.arrow"
    assert f"look-up file {str(path)!r} cannot be read (" in _message(path)
    _lookup(["a", "b"], pa.string()).save(path)
    assert _message(path, "other") == (f"look-up file {str(path)!r} belongs to another vocabulary (digest d, expected "
                                       "other): restore a copy of the folder, or build the dataset again")
    content = path.read_bytes()
    for damaged in (content[:-9], b"", b"no arrow", content[:100]):
        path.write_bytes(damaged)
        assert f"look-up file {str(path)!r} cannot be read (" in _message(path)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, pa.schema([("hash", pa.uint64())])):
        pass
    assert "cannot be read ('dtype')" in _message(path)


@pytest.mark.parametrize(("ids", "dtype"), [(["a", "b", "a"], pa.string()), ([5, 6, 7, 8, 5], pa.int64())])
def test_an_id_with_two_rows_is_refused(ids, dtype):
    with pytest.raises(UserError, match="one row for each id, but 1 rows repeat an id, such as row 3"):
        _lookup(ids, dtype)


def test_the_lookup_of_a_vocabulary_is_its_file(tmp_path):
    vocabulary = Vocabulary(pa.array([4, None, 6]), np.array([3, 0, 1]), 2)
    vocabulary.save(tmp_path / "v.parquet")
    vocabulary.id_lookup.save(tmp_path / "v.lookup.arrow")
    loaded = Vocabulary.load(tmp_path / "v.parquet", lambda: tmp_path / "v.lookup.arrow")
    assert loaded.lookup(pa.array([6, 4])).tolist() == [4, 2]
    freed = vocabulary.with_freed(np.array([2]))
    freed.save(tmp_path / "v.parquet")
    stale = Vocabulary.load(tmp_path / "v.parquet", lambda: tmp_path / "v.lookup.arrow")
    with pytest.raises(UserError, match="belongs to another vocabulary"):
        stale.lookup(pa.array([6]))
    freed.id_lookup.save(tmp_path / "v.lookup.arrow")
    assert hash_ids(np.array([4])).tobytes() not in (tmp_path / "v.lookup.arrow").read_bytes()
    assert hash_ids(np.array([6])).tobytes() in (tmp_path / "v.lookup.arrow").read_bytes()


@pytest.mark.parametrize("lifetimes", [False, True])
def test_occurring_rows_are_read_without_the_ids(lifetimes, tmp_path):
    vocabulary = Vocabulary(pa.array(["a", "b", None, "c"]), np.array([3, 0, 0, 1]), 2)
    if lifetimes:
        later = pa.array(["c", "d"]), np.array([1, 9])
        vocabulary = advance(begin(vocabulary, 1), *later, 2, LifecycleRules(decay=0.9))
    vocabulary.save(tmp_path / "v.parquet")
    with (tmp_path / "v.parquet").open("rb") as file:
        found = occurring_rows(file)
    expected = [False, False, *([False, False, True, True] if lifetimes else [True, False, False, True])]
    assert found.tolist() == expected == vocabulary.occurring.tolist()


def test_written_parts_have_the_declared_columns(tmp_path):
    parts = in_hash_order(pa.array(["x", "y"]), np.array([1, 2]))
    write_parts(tmp_path / "f", parts, dtype="string", oov_rows=1, num_rows=3, digest="d")
    with pa.memory_map(str(tmp_path / "f")) as file:
        schema = pa.ipc.open_file(file).schema
    assert schema.to_string(show_schema_metadata=False) == "hash: uint64\nrow: int32\nid: large_string"
    assert hashing.hash_ids(pa.array(["x"])).tobytes() in (tmp_path / "f").read_bytes()
