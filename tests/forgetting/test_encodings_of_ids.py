"""The search of bytes, against a naive one; and what it searches for."""

import gzip

import google.protobuf.internal.encoder as protobuf
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfrs_pretrain.forgetting import encodings
from tfrs_pretrain.forgetting.encodings import ByteSearch, Encoding
from tfrs_pretrain.forgetting.file_contents import contents
from tfrs_pretrain.hashing import hash_ids

LONG = 123_456_789_012_345


def names(ids):
    return sorted(each.name for each in encodings.encodings(ids))


def test_encodings_of_numbers():
    found = {each.name: each.content for each in encodings.encodings(pa.array([LONG]))}
    varint = bytearray()
    protobuf._EncodeVarint(varint.extend, LONG)
    assert found == {"int64, little-endian": LONG.to_bytes(8, "little"), "varint": bytes(varint),
                     "decimal text": b"123456789012345",
                     "64-bit hash": int(hash_ids(np.array([LONG]))[0]).to_bytes(8, "little")}


@pytest.mark.parametrize("value", [7, 0, 65_535, 2**34, -5])
def test_short_numbers_are_searched_by_hash_only(value):
    """Their bytes occur everywhere by accident."""
    assert set(names(pa.array([value]))) <= {"64-bit hash", "decimal text"}
    assert ("decimal text" in names(pa.array([value]))) == (value == 2**34)


def test_encodings_of_texts():
    found = {each.content for each in encodings.encodings(pa.array(['ítem "1"']))}
    assert {'ítem "1"'.encode(), b'\\u00edtem \\"1\\"', 'ítem \\"1\\"'.encode()} <= found
    assert names(pa.array(["ab"])) == ["64-bit hash", "hash of the served lookup"]


def naive(data, wanted):
    return sorted((place, each.content) for each in wanted for place in range(len(data))
                  if data[place:place + len(each.content)] == each.content)


@pytest.mark.parametrize("seed", range(4))
def test_search_equals_a_naive_one(seed, monkeypatch):
    """Small alphabets give overlaps and common beginnings; blocks end within occurrences."""
    monkeypatch.setattr(encodings, "BLOCK", 64)
    random = np.random.default_rng(seed)
    wanted = [Encoding("x", bytes(random.integers(97, 99, random.integers(6, 10)).tolist())) for _ in range(5)]
    data = bytes(random.integers(97, 99, 2000).tolist())
    found = ByteSearch(wanted).find(data)
    distinct = {each.content: each for each in wanted}
    assert sorted({(place, each.content) for place, each in found}) == naive(data, distinct.values())


@pytest.mark.parametrize(("text", "expected"), [
    ("ítem-1", 1), ('"ítem-1",', 1), ("ítem-12", 0), ("großítem-1", 0), ("ítem-1.", 1), ("\x07ítem-1\x12", 1),
    ("ítem-1 ítem-1", 2)])
def test_a_text_is_found_as_a_whole_word(text, expected):
    search = ByteSearch([each for each in encodings.encodings(pa.array(["ítem-1"])) if each.name == "UTF-8"])
    assert len(search.find(text.encode())) == expected


@pytest.mark.parametrize(("text", "expected"), [
    ("1234567890", 1), ("x=1234567890;", 1), ("12345678901", 0), ("0.1234567890", 0), ("-1234567890", 1)])
def test_a_number_is_found_as_a_whole(text, expected):
    search = ByteSearch([each for each in encodings.encodings(pa.array([1234567890])) if each.name == "decimal text"])
    assert len(search.find(text.encode())) == expected


def test_compressed_contents_are_searched(tmp_path):
    search = ByteSearch(encodings.encodings(pa.array([LONG])))
    paths = [tmp_path / name for name in ("a.gz", "b.npz", "c.parquet", "d.npy", "e.parquet", "damaged.gz")]
    paths[0].write_bytes(gzip.compress(b"x" * 99 + LONG.to_bytes(8, "little")))
    np.savez_compressed(paths[1], rows=np.array([1, LONG]))
    pq.write_table(pa.table({"a": [[1, LONG]]}), paths[2], compression="zstd")
    np.save(paths[3], np.array([1, LONG]))
    pq.write_table(pa.table({"a": ["note", str(LONG)]}), paths[4], compression="gzip")
    paths[5].write_bytes(gzip.compress(b"nothing")[:-4])
    found = [any(search.find(data) for _, data in contents(path)) for path in paths]
    assert found == [True] * 5 + [False]
