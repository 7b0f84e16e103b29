"""Side tables: lookup by id, and rows that cannot be used."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from planted import planted_config

from beam_pipelines.sources import open_source
from beam_pipelines.transforms.side_tables import SideTable, read_side_table
from tfrs_pretrain.config import Config, DatasetConfig
from tfrs_pretrain.errors import UserError


@pytest.mark.parametrize("ids", [pa.array([5, 9]), pa.array(["é", "b"])], ids=["int64", "string"])
def test_features_are_looked_up_in_the_order_of_the_ids(ids):
    table = SideTable(ids, {"x": pa.array([1.0, 2.0]), "tags": pa.array([["a"], ["b", "c"]])})
    first, second = ids.to_pylist()
    unknown = 0 if isinstance(first, int) else "?"
    found = table.lookup(pa.array([second, unknown, first, second]))
    assert found["x"].to_pylist() == [2.0, None, 1.0, 2.0]
    assert found["tags"].to_pylist() == [["b", "c"], [], ["a"], ["b", "c"]]
    assert found["tags"].null_count == 0


def test_parts_with_different_dictionaries_and_integer_types_are_one_table(tmp_path):
    (tmp_path / "items").mkdir()
    for number, (ids, kind) in enumerate(((["b", "a"], pa.int8()), (["c"], pa.int64()))):
        topics = pa.array([number] * len(ids), kind)
        pq.write_table(pa.table({"item": pa.array(ids).dictionary_encode(), "topic_id": topics,
                                 "quality": [0.5] * len(ids)}), tmp_path / "items" / f"{number}.parquet")
    schema = Config.model_validate(planted_config()).schema_
    features = tuple(feature for feature in schema.features if feature.source == "items")
    table = SideTable.read("items", open_source("items", "items/*.parquet", str(tmp_path)), schema.item, features)
    assert table.lookup(pa.array(["a", "c", "x"]))["topic"].to_pylist() == [0, 1, None]


def test_parts_that_pandas_stored_differently_are_one_table(tmp_path):
    """Dictionaries whose indices have 8 or 16 bits, plain and large strings, lists of each; in the values equal."""
    many = [f"value {number}" for number in range(300)]
    small, large = pa.dictionary(pa.int8(), pa.string()), pa.dictionary(pa.int16(), pa.large_string())
    parts = [(["a"], small, pa.list_(small)), (["b"], pa.string(), pa.list_(pa.string())),
             (many, large, pa.large_list(pa.large_string()))]
    for number, (values, kind, lists) in enumerate(parts):
        ids = pa.array(range(number * 1000, number * 1000 + len(values)))
        elements = pa.array(values).cast(lists.value_type)
        tags = pa.ListArray.from_arrays(range(len(values) + 1), elements)
        tags = tags if tags.type == lists else tags.cast(lists)
        pq.write_table(pa.table({"id": ids, "kind": pa.array(values).cast(kind), "tags": tags}),
                       tmp_path / f"{number}.parquet")
    table = read_side_table("items", open_source("items", "*.parquet", str(tmp_path)),
                            {"id": "int64", "kind": "string", "tags": "string[]"})
    assert table["kind"].type == pa.string()
    assert table["kind"].to_pylist() == ["a", "b", *many]
    assert table["tags"].to_pylist() == [[value] for value in ("a", "b", *many)]


@pytest.mark.parametrize(("text", "message"), [
    ("id,x\n1\n", r"table t: '.*t\.csv', line 2: wrong number of fields \('1'\); correct it"),
    ("id,x\n1,2\n3,y\n", r"t\.csv', position 3: column 'x' is 'y', expected float32; correct it"),
    ("id,x\n", "has no rows, expected one for each id")])
def test_a_row_that_cannot_be_used_is_named(text, message, tmp_path):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(UserError, match=message):
        read_side_table("t", open_source("t", "t.csv", str(tmp_path)), {"id": "int64", "x": "float32"})


def test_texts_are_parsed(tmp_path):
    (tmp_path / "t.csv").write_text("id,x,unused\n1,2.5,z\n2,,z\n")
    table = read_side_table("t", open_source("t", "t.csv", str(tmp_path)), {"id": "int64", "x": "float32"})
    assert table.to_pydict() == {"id": [1, 2], "x": [2.5, None]}


@pytest.mark.parametrize(("ids", "message"), [
    (pa.array([2**53, 2**53 + 1, None, 2**53 + 3]), r"1 of 4 rows have no id in column 'item' \(the first is row 2, "),
    (pa.array(["a", "", None, "b"]), r"2 of 4 rows have no id in column 'item' \(the first is row 1")])
def test_a_row_without_an_id_is_refused(ids, message, tmp_path):
    pq.write_table(pa.table({"item": ids, "quality": [0.0, 1.0, 2.0, 3.0]}), tmp_path / "items.parquet")
    schema = Config.model_validate(planted_config()).schema_
    space = schema.item.model_copy(update={"dtype": "string" if pa.types.is_string(ids.type) else "int64"})
    features = tuple(feature for feature in schema.features if feature.name == "quality")
    with pytest.raises(UserError, match=message):
        SideTable.read("items", open_source("items", "items.parquet", str(tmp_path)), space, features)


def test_ids_above_two_to_the_53_keep_their_own_features():
    ids = pa.array([2**60 + step for step in range(64)])
    found = SideTable(ids, {"x": pa.array(range(64))}).lookup(ids)
    assert found["x"].to_pylist() == list(range(64))
    with pytest.raises(AssertionError, match="must not be null"):
        SideTable(pa.array([1, None]), {"x": pa.array([1, 2])})


def test_a_column_that_no_row_of_a_side_table_has_is_refused(tmp_path):
    (tmp_path / "t.jsonl").write_text('{"id": 1, "x": 2}\n{"id": 2}\n')
    source = open_source("t", "t.jsonl", str(tmp_path))
    assert read_side_table("t", source, {"id": "int64", "x": "float32"})["x"].to_pylist() == [2.0, None]
    with pytest.raises(UserError, match=r"table t: no row of '?.*t\.jsonl'? has a column 'z'; correct the schema"):
        read_side_table("t", source, {"id": "int64", "z": "float32"})


@pytest.mark.parametrize(("texts", "kind", "value_type"), [
    (["a", None, "é" * 5], pa.string(), "string"),
    (["a", "a", "é" * 5], pa.dictionary(pa.int8(), pa.string()), "string"),
    (["a|b|c|d|e|f", "", "ééééé"], pa.string(), "string[|]")])
def test_a_text_of_too_many_bytes_is_refused(texts, kind, value_type, tmp_path):
    """Of a list, each text is limited."""
    pq.write_table(pa.table({"x": pa.array(texts).cast(kind)}), tmp_path / "t.parquet")
    source = open_source("t", "t.parquet", str(tmp_path), DatasetConfig(max_id_bytes=9))
    with pytest.raises(UserError, match=r"t\.parquet', position 2: column 'x' has a text of more than .* = 9 bytes"):
        read_side_table("t", source, {"x": value_type})
    source = open_source("t", "t.parquet", str(tmp_path), DatasetConfig(max_id_bytes=10))
    assert read_side_table("t", source, {"x": value_type}).num_rows == 3
