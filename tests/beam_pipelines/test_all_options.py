"""All options at once: the same bytes with any batch size, bucket number and engine; an account of every row."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from folder_contents import folder_contents
from planted import planted_config as planted_tree

from beam_pipelines.build_dataset import build
from tfrs_pretrain.config import Config
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.errors import UserError

OPTIONS = {"relations": {"view": 0.5, "save": 2.0, "hide": 0.0}, "duplicates": {
    "engagements": "reject", "impressions": "reject"}, "negative_sampling": {"rate": 0.5}, "shards": None,
    "shard_bytes": 40000, "compression": "gzip", "max_rejected_share": 0.05}



@pytest.fixture(scope="module")
def rich(planted_logs, tmp_path_factory) -> tuple[Config, Path]:
    """Logs with relations, a second label, duplicates and bad rows; the engagements are JSON lines, one is broken."""
    folder = tmp_path_factory.mktemp("everything")
    random = np.random.default_rng(2)
    for name in ("items", "users"):
        (folder / f"{name}.parquet").write_bytes((planted_logs / f"{name}.parquet").read_bytes())
    impressions = pq.read_table(planted_logs / "impressions.parquet")
    impressions = impressions.append_column("liked", pa.array(random.random(impressions.num_rows) < 0.2))
    place = impressions.schema.get_field_index("item")
    bad = impressions.slice(6000, 20).set_column(place, "item", pa.array([""] * 20))
    # From the test window, which is not downsampled.
    pq.write_table(pa.concat_tables([impressions, impressions.slice(7300, 99), bad]), folder / "impressions.parquet",
                   row_group_size=1000)
    engagements = pq.read_table(planted_logs / "engagements.parquet").to_pandas()
    engagements["surface"] = random.choice(["view", "save", "hide"], len(engagements))
    # Rows of weight 0 are excluded before duplicates are rejected.
    engagements.loc[:76, "surface"] = "save"
    engagements.iloc[[*range(len(engagements)), *range(77)]].to_json(
        folder / "engagements.jsonl", orient="records", lines=True, date_format="iso", date_unit="us")
    with (folder / "engagements.jsonl").open("a") as file:
        file.write('{"member": 1000, "item": "x", "ts": "soon", "day": 3, "surface": "view"}\n{"member": 10')
    tree = planted_tree()
    tree["schema"] |= {"relation": "surface", "labels": ["liked"], "history": {"length": 5}}
    tree["dataset"] |= OPTIONS | {"sources": {"engagements": {"path": "engagements.jsonl", "format": "jsonl"}}}
    return Config.model_validate(tree), folder


@pytest.fixture(scope="module")
def built(rich) -> Path:
    config, folder = rich
    build(config, folder, folder / "out")
    return folder / "out"


def test_every_row_is_accounted_for(built):
    dataset = Dataset.open(built)
    counts = dataset.info["counts"]
    assert counts["engagements"]["rejected"] == {
        "duplicate engagement": 77, "not a JSON object": 1, "unparsable time": 1}
    assert counts["impressions"]["rejected"] == {"duplicate impression": 99, "missing item id": 20}
    assert counts["history"]["rejected"] == counts["engagements"]["rejected"]
    for count in counts.values():
        assert count["read"] == count["written"] + sum(count["rejected"].values()) + count["filtered"]
        assert sum(count["filtered_by"].values()) == count["filtered"]
        letters = [pq.read_table(built / path) for path in count["dead_letter"]]
        assert sum(letter.num_rows for letter in letters) == sum(count["rejected"].values())
    for prefix, name in (("pairs", "engagements"), ("impressions", "impressions")):
        written = sum(split["examples"] for key, split in dataset.info["splits"].items() if key.startswith(prefix))
        assert written == counts[name]["written"]


def test_batch_size_and_buckets_do_not_change_the_bytes(built, rich, tmp_path):
    config, folder = rich
    build(config, folder, tmp_path / "again", ["--read_batch_rows=321", "--buckets=3"])
    assert folder_contents(tmp_path / "again") == folder_contents(built)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["multi_processing", "portable"])
def test_the_engine_does_not_change_the_bytes(engine, built, rich, tmp_path, request):
    config, folder = rich
    options = (["--direct_running_mode=multi_processing", "--direct_num_workers=2"] if engine == "multi_processing"
               else request.getfixturevalue(engine))
    build(config, folder, tmp_path / "again", options)
    assert folder_contents(tmp_path / "again") == folder_contents(built)


@pytest.mark.parametrize(("name", "text", "message"), [
    ("engagements.csv", 'member,item,ts,day,surface\n1,"a,2024-03-01,1,view\n', r"as CSV \(line 2: unexpected end"),
    ("engagements.csv", "member,item,ts,day\n1,a,2024-03-01,1\n", r"has no column 'surface' \(expected string or int"),
    ("engagements.jsonl.gz", "no gzip", "as JSON lines"),
])
def test_a_damaged_log_is_reported_in_one_line_and_leaves_no_output(name, text, message, rich, tmp_path):
    config, folder = rich
    (tmp_path / name).write_text(text)
    tree = config.resolved()
    tree["dataset"]["sources"]["engagements"] = str(tmp_path / name)
    with pytest.raises(UserError, match=message) as caught:
        build(Config.model_validate(tree), folder, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()
