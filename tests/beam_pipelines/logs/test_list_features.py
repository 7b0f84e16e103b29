"""Multi-valued features, from columns of lists to records, vocabularies and golden impressions."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from planted import planted_config as planted_tree

from beam_pipelines.build_dataset import build
from beam_pipelines.jobs.runner import pipeline_options
from beam_pipelines.logs.keys import event_hash
from beam_pipelines.logs.text_values import parse
from beam_pipelines.validate_examples import validate
from tfrs_pretrain.config import Config
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.data.impressions import checked_reading, evaluation_batches
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.features.multi_valued import MultiValuedFeature

TAGS = ("rock", "日本", "jazz", "punk", "ska")
LENGTH = 3


def test_impressions_that_differ_only_in_a_list_have_different_hashes():
    same = {"user_id": [1, 1, 1], "item_id": [2, 2, 2], "@time": [3, 3, 3]}
    feature = MultiValuedFeature(name="codes", source="impressions", kind="multi_valued", dtype="int64", max_values=2)
    hashes = event_hash(pa.RecordBatch.from_pydict(same | {"codes": [[1, 2], [2, 1], [1, 2]]}), [feature])
    assert hashes[0] == hashes[2] != hashes[1]


@pytest.mark.parametrize(("kind", "texts", "expected", "bad"), [
    ("int64[|]", ["1|2", "3", "", None, "1||4", "1|x"], [[1, 2], [3], [None], None, [1, None, 4], None], [5]),
    ("string[, ]", ["a, b", "c"], [["a", "b"], ["c"]], []),
    ("string[]", ['["a", null, 5]', "a", None, "{}", "[]"], [["a", None, "5"], None, None, None, []], [1, 3]),
    ("int64[]", ["[1, 2]", "[1.5]", "[true]"], [[1, 2], None, None], [1, 2])])
def test_text_becomes_lists(kind, texts, expected, bad):
    lists, unparsable = parse(pa.array(texts, pa.string()), kind)
    assert lists.to_pylist() == expected
    assert np.flatnonzero(unparsable).tolist() == bad


@pytest.fixture(scope="module")
def tagged(planted_logs, tmp_path_factory):
    """Logs whose items have lists of tags and whose impressions have numbers in a text; and their configuration."""
    folder = tmp_path_factory.mktemp("tagged")
    random = np.random.default_rng(3)
    for name in ("users", "engagements"):
        (folder / f"{name}.parquet").write_bytes((planted_logs / f"{name}.parquet").read_bytes())
    items = pq.read_table(planted_logs / "items.parquet")
    tags = [random.choice(TAGS, random.integers(0, 5), replace=False).tolist() for _ in range(items.num_rows)]
    tags[5] = None
    pq.write_table(items.append_column("tags", pa.array(tags, pa.list_(pa.string()))), folder / "items.parquet")
    impressions = pq.read_table(planted_logs / "impressions.parquet")
    codes = ["|".join(map(str, random.integers(0, 9, random.integers(0, 4)))) for _ in range(impressions.num_rows)]
    pq.write_table(impressions.append_column("codes", pa.array(codes)), folder / "impressions.parquet")
    tree = planted_tree()
    tree["schema"]["history"] = {"length": LENGTH}
    tree["schema"]["features"] += [
        {"name": "tags", "source": "items", "kind": "multi_valued", "dtype": "string", "max_values": 3, "min_count": 2},
        {"name": "codes", "source": "impressions", "kind": "multi_valued", "dtype": "int64", "max_values": 2,
         "separator": "|"},
        {"name": "tail", "source": "items", "column": "quality", "kind": "numeric", "dtype": "float32", "log1p": True}]
    return folder, tree


@pytest.fixture(scope="module")
def tagged_dataset(tagged):
    folder, tree = tagged
    tree = tree | {"dataset": tree["dataset"] | {"duplicates": {"impressions": "reject"}}}
    build(Config.model_validate(tree), folder, folder / "out", ["--read_batch_rows=777"])
    return Dataset.open(folder / "out")


def expected_values(tagged):
    """Impressions with their tags and codes, joined with pandas."""
    folder, _ = tagged
    impressions, items = (pd.read_parquet(folder / f"{name}.parquet") for name in ("impressions", "items"))
    tags = {item: [] if values is None else list(values)[:3]
            for item, values in zip(items.item, items.tags, strict=True)}
    impressions["tags"] = [tags.get(item, []) for item in impressions.item]
    impressions["codes"] = [[int(code) for code in text.split("|") if code][:2] for text in impressions.codes]
    return impressions


def as_rows(vocabulary, values, dtype):
    return vocabulary.lookup(pa.array(values, dtype)).tolist()


def test_records_have_the_rows_of_every_value(tagged, tagged_dataset):
    impressions = expected_values(tagged)
    impressions = impressions[(impressions.day >= 30) & (impressions.day < 34)]
    with checked_reading(tagged_dataset, "impressions/test"):
        [batch] = evaluation_batches(tagged_dataset, "impressions/test", batch_size=10**5).as_numpy_iterator()
    columns = [batch[name].tolist() for name in ("user_id", "item_id", "label", "tags", "codes")]
    result = sorted((user, item.decode(), label, [row for row in tags if row >= 0], [row for row in codes if row >= 0])
                  for user, item, label, tags, codes in zip(*columns, strict=True))
    tags, codes = (tagged_dataset.vocabulary(name) for name in ("tags", "codes"))
    assert result == sorted((row.member, row.item, float(row.clicked), as_rows(tags, row.tags, pa.string()),
                           as_rows(codes, row.codes, pa.int64())) for row in impressions.itertuples())
    info = tagged_dataset.info["splits"]["impressions/test"]
    assert info["tags_length"] == pytest.approx(impressions.tags.map(len).mean())


def test_vocabularies_count_every_value_of_the_training_window(tagged, tagged_dataset):
    impressions = expected_values(tagged)
    training = impressions[(impressions.day >= 20) & (impressions.day < 28)]
    for name in ("tags", "codes"):
        counts = training[name].explode().dropna().value_counts()
        vocabulary = tagged_dataset.vocabulary(name)
        assert dict(zip(vocabulary.ids.to_pylist(), vocabulary.counts.tolist(), strict=True)) == counts.to_dict()


def test_log1p_features_are_measured_as_logarithms_and_written_unchanged(tagged, tagged_dataset):
    folder, _ = tagged
    qualities = pd.read_parquet(folder / "items.parquet").set_index("item").quality
    impressions = expected_values(tagged)
    training = impressions[(impressions.day >= 20) & (impressions.day < 28)]
    values = qualities[training.item].dropna().astype(np.float64)
    logs = np.sign(values) * np.log1p(np.abs(values))
    assert (logs < 0).any()
    statistics = tagged_dataset.moments["tail"]
    assert statistics == {"mean": pytest.approx(logs.mean()), "std": pytest.approx(logs.std(ddof=0))}
    [batch] = evaluation_batches(tagged_dataset, "impressions/test", batch_size=10**5).as_numpy_iterator()
    np.testing.assert_array_equal(batch["tail"], batch["quality"])


def test_golden_impressions_have_raw_lists_and_raw_histories(tagged, tagged_dataset):
    golden = pq.read_table(tagged_dataset.folder / "golden.parquet").to_pylist()
    records = {}
    for batch in evaluation_batches(tagged_dataset, "impressions/validation", batch_size=10**5).as_numpy_iterator():
        for place, key in enumerate(batch["key"].tolist()):
            records[key] = {name: [row for row in batch[name][place].tolist() if row >= 0]
                            for name in ("tags", "codes", "history")}
    assert len(golden) == 32
    assert sum(len(row["history"]) for row in golden) > 32
    for row in golden:
        for name, vocabulary, dtype in (("tags", "tags", pa.string()), ("codes", "codes", pa.int64()),
                                        ("history", "item", pa.string())):
            assert as_rows(tagged_dataset.vocabulary(vocabulary), row[name], dtype) == records[row["key"]][name]


def test_the_validation_supports_lists(tagged_dataset, tmp_path):
    report, _ = validate(pipeline_options([f"--dataset={tagged_dataset.folder}", f"--report={tmp_path / 'r.json'}"]))
    assert report["violations"] == []
    columns = report["splits"]["dataset"]["impressions/test"]["columns"]
    info = tagged_dataset.info["splits"]["impressions/test"]
    for name in ("tags", "codes", "history"):
        assert columns[name]["values"] == round(info[f"{name}_length"] * info["examples"])
        assert columns[name]["unknown"] == 0


def test_the_same_lists_in_json_lines_give_the_same_dataset(tagged, tagged_dataset, tmp_path):
    folder, tree = tagged
    for name in ("users", "engagements", "impressions"):
        (tmp_path / f"{name}.parquet").write_bytes((folder / f"{name}.parquet").read_bytes())
    rows = pq.read_table(folder / "items.parquet").to_pylist()
    (tmp_path / "items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    tree = tree | {"dataset": tree["dataset"] | {"sources": {"items": "items.jsonl"}}}
    build(Config.model_validate(tree), tmp_path, tmp_path / "out")
    other = Dataset.open(tmp_path / "out")
    assert other.digests == tagged_dataset.digests
    for one, same in zip(other.files("impressions/test"), tagged_dataset.files("impressions/test"), strict=True):
        assert Path(one).read_bytes() == Path(same).read_bytes()


@pytest.mark.parametrize("stored", [pa.large_string(), pa.dictionary(pa.int32(), pa.large_string())], ids=str)
def test_separated_texts_can_have_any_arrow_type_of_text(tagged, tagged_dataset, tmp_path, stored):
    folder, tree = tagged
    for name in ("users", "engagements"):
        (tmp_path / f"{name}.parquet").write_bytes((folder / f"{name}.parquet").read_bytes())
    impressions, items = (pq.read_table(folder / f"{name}.parquet") for name in ("impressions", "items"))
    codes = impressions["codes"].combine_chunks()
    encoded = codes.dictionary_encode().cast(stored) if pa.types.is_dictionary(stored) else codes.cast(stored)
    pq.write_table(impressions.set_column(impressions.schema.get_field_index("codes"), "codes", encoded),
                   tmp_path / "impressions.parquet")
    tags = pa.array([None if tags is None else ",".join(tags) for tags in items["tags"].to_pylist()], pa.large_string())
    pq.write_table(items.set_column(items.schema.get_field_index("tags"), "tags", tags), tmp_path / "items.parquet")
    features = [feature | ({"separator": ","} if feature["name"] == "tags" else {})
                for feature in tree["schema"]["features"]]
    schema = tree["schema"] | {"features": features}
    build(Config.model_validate(tree | {"schema": schema}), tmp_path, tmp_path / "out")
    other = Dataset.open(tmp_path / "out")
    assert other.digests == tagged_dataset.digests
    for one, same in zip(other.files("impressions/test"), tagged_dataset.files("impressions/test"), strict=True):
        assert Path(one).read_bytes() == Path(same).read_bytes()


def test_rows_with_different_lists_are_not_duplicates(tagged, tmp_path):
    folder, tree = tagged
    for name in ("users", "engagements", "items"):
        (tmp_path / f"{name}.parquet").write_bytes((folder / f"{name}.parquet").read_bytes())
    table = pq.read_table(folder / "impressions.parquet")
    again = table.filter(pc.equal(table["day"], 21)).slice(0, 5)
    other = again.set_column(again.schema.get_field_index("codes"), "codes", pa.array(["8|8|8"] * 5))
    pq.write_table(pa.concat_tables([table, again, other]), tmp_path / "impressions.parquet")
    tree = tree | {"dataset": tree["dataset"] | {"duplicates": {"impressions": "reject"}}}
    # With one bucket, impressions that differ in their lists alone are compared, whatever their hashes.
    info = build(Config.model_validate(tree), tmp_path, tmp_path / "out", ["--buckets=1"])
    assert info["counts"]["impressions"]["rejected"] == {"duplicate impression": 5}


def test_a_column_without_lists_is_refused(tagged, planted_logs, tmp_path):
    folder, tree = tagged
    for name in ("users", "engagements", "impressions", "items"):
        (tmp_path / f"{name}.parquet").write_bytes((folder / f"{name}.parquet").read_bytes())
    items = pq.read_table(folder / "items.parquet")
    pq.write_table(items.set_column(items.schema.get_field_index("tags"), "tags", items["item"]),
                   tmp_path / "items.parquet")
    with pytest.raises(UserError, match=r"column 'tags' of '.*items.parquet' is string, expected list of string"):
        build(Config.model_validate(tree), tmp_path, tmp_path / "out")
