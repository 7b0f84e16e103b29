"""Coverage of the joins of impressions: counted against pandas, written to the manifest, refused if nothing matches."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from planted import planted_config as planted_tree

from beam_pipelines import build_impressions
from beam_pipelines.build_dataset import build
from tfrs_pretrain.artifact_names import DATASET_INFO
from tfrs_pretrain.artifacts import read_manifest
from tfrs_pretrain.config import Config
from tfrs_pretrain.errors import UserError

WINDOWS = {"train": (20, 28), "validation": (28, 30), "test": (30, 34)}


@pytest.fixture
def logs(planted_logs, tmp_path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(planted_logs, tmp_path / "logs"))


def _rewrite(path: Path, change) -> None:
    pq.write_table(change(pq.read_table(path)), path)


def _with_ids(column: str, change):
    return lambda table: table.set_column(table.schema.get_field_index(column), column, change(table[column]))


def test_shares_equal_those_of_a_join_in_pandas(planted_config, logs, tmp_path):
    """A tenth of the items lacks a row in its table; surfaces, topics and countries are partly missing."""
    _rewrite(logs / "items.parquet", lambda table: table.slice(table.num_rows // 10))
    _rewrite(logs / "users.parquet", lambda table: table.set_column(
        table.schema.get_field_index("country"), "country",
        pa.array([("", None, "no", "se")[place % 4] for place in range(table.num_rows)])))
    info = build(planted_config, logs, tmp_path / "out")
    tables = {name: pd.read_parquet(logs / f"{name}.parquet") for name in (
        "engagements", "impressions", "items", "users")}
    engaged = tables["engagements"].query("day < 20")
    for split, (start, end) in WINDOWS.items():
        shown = tables["impressions"].query(f"{start} <= day < {end}")
        users, items = shown.member.isin(engaged.member), shown.item.isin(engaged.item)
        found = info["splits"][f"impressions/{split}"]
        assert found["coverage"] == pytest.approx({
            "pretrained_users": users.mean(), "pretrained_items": items.mean(),
            "pretrained_both": (users & items).mean(),
            "users_table": shown.member.isin(tables["users"].member).mean(),
            "items_table": shown.item.isin(tables["items"].item).mean()})
        joined = shown.merge(tables["items"], on="item", how="left").merge(tables["users"], on="member", how="left")
        assert found["missing"] == {
            "surface": joined.surface.fillna("").eq("").sum(), "dwell": joined.dwell.isna().sum(),
            "topic": joined.topic_id.isna().sum(), "quality": joined.quality.isna().sum(),
            "country": joined.country.fillna("").eq("").sum()}
        assert 0 < found["coverage"]["items_table"] < 1
        assert found["missing"]["topic"] > 0
        assert found["missing"]["country"] > 0


def test_counts_do_not_depend_on_batches(tiny_dataset, planted_config, planted_logs, tmp_path):
    info = build(planted_config, planted_logs, tmp_path / "again", ["--read_batch_rows=97"])
    assert {name: split.get("coverage") for name, split in info["splits"].items()} == {
        name: split.get("coverage") for name, split in tiny_dataset.info["splits"].items()}


def test_engagements_end_where_the_log_or_the_window_ends(tiny_dataset, planted_config, logs, tmp_path):
    assert tiny_dataset.info["engagements_end"] == 20
    _rewrite(logs / "engagements.parquet", lambda table: table.filter(pc.less(table["day"], 13)))
    assert build(planted_config, logs, tmp_path / "out")["engagements_end"] == 13


def test_ids_without_an_engagement_in_the_new_window_have_no_pretrained_row(tiny_dataset, logs, tmp_path):
    """Extended vocabularies retain the rows of such ids."""
    gone = tiny_dataset.vocabulary("item").ids[:5]
    _rewrite(logs / "engagements.parquet", lambda table: table.filter(pc.invert(pc.is_in(table["item"], gone))))
    info = build(Config.model_validate(planted_tree()), logs, tmp_path / "out", [f"--extend={tiny_dataset.folder}"])
    shown = pd.read_parquet(logs / "impressions.parquet").query("20 <= day < 28")
    before, after = (content["splits"]["impressions/train"]["coverage"]["pretrained_items"]
                     for content in (tiny_dataset.info, info))
    assert before - after == pytest.approx(shown.item.isin(gone.to_pylist()).mean())
    entry = info["vocabularies"]["item"]
    assert entry["ids"] - entry["occurring_ids"] == 5


MISMATCHES = {
    "items of the engagements": (
        "impressions", "item", pc.utf8_upper, "pretrained_items",
        r"^impressions/test: 0 of 917 impressions have an item with engagements in the pretraining window \[0, 20\): "
        r"column 'item' has ids like 'ÍTEM-\d+', .* in the impressions and 'ítem-\d+', .* in the engagements\. Write "
        r"the ids alike in both logs, widen windows\.pretrain, lower schema\.item\.min_count \(now 1\), or set "
        r"dataset\.min_coverage\.pretrained_items \(now 0\.001\) to accept this$"),
    "users of the engagements": (
        "impressions", "member", lambda column: pc.add(column, 10**6), "pretrained_users",
        r"0 of 917 impressions have a user with engagements .* column 'member' has ids like 100\d+, .* and \d+, "),
    "items": (
        "items", "item", lambda column: pc.utf8_replace_slice(column, 0, 1, "x"), "items_table",
        r"0 of 917 impressions have an item with a row in table items: column 'item' has ids like 'ítem-\d+', .* in "
        r"the impressions and 'xtem-\d+', 'xtem-\d+', 'xtem-\d+' in the table\. Write the ids alike in both, complet"),
    "users": (
        "users", "member", pc.negate, "users_table",
        r"0 of 917 impressions have a user with a row in table users: column 'member' has ids like \d+, .* and -\d+, ")}


@pytest.mark.parametrize("mismatch", MISMATCHES)
def test_ids_that_never_match_are_refused(mismatch, tiny_dataset, logs, tmp_path):
    table, column, change, join, message = MISMATCHES[mismatch]
    _rewrite(logs / f"{table}.parquet", _with_ids(column, change))
    argv = [f"--vocabulary={tiny_dataset.folder}", f"--raw={logs}", f"--output={tmp_path / 'out'}", "--splits=test"]
    with pytest.raises(UserError, match=message) as caught:
        build_impressions.run(argv)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()
    limits = ",".join(f"{name}: 0" for name in {join, "items_table" if column == "item" else "users_table"})
    build_impressions.run([*argv, f"--set=dataset.min_coverage={{{limits}}}"])
    info = read_manifest(tmp_path / "out", "impressions", name=DATASET_INFO)
    assert info["splits"]["impressions/test"]["coverage"][join] == 0


def test_the_whole_dataset_is_refused_if_the_logs_write_ids_differently(planted_config, logs, tmp_path):
    _rewrite(logs / "engagements.parquet", _with_ids("item", pc.utf8_upper))
    message = r"^impressions/train: 0 .*'ítem-\d+' in the impressions and 'ÍTEM-\d+', .* in the engagements"
    with pytest.raises(UserError, match=message):
        build(planted_config, logs, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_most_ids_may_be_new(planted_config, logs, tmp_path):
    """News: 199 of 200 impressions show an item without a history and without features."""
    def renew(table: pa.Table) -> pa.Table:
        items = np.array(table["item"].to_pylist(), object)
        fresh = np.arange(len(items)) % 200 > 0
        items[fresh] = [f"fresh-{place}" for place in np.flatnonzero(fresh)]
        return table.set_column(table.schema.get_field_index("item"), "item", pa.array(items.tolist()))

    _rewrite(logs / "impressions.parquet", renew)
    info = build(planted_config, logs, tmp_path / "out")
    assert 0 < info["splits"]["impressions/train"]["coverage"]["pretrained_items"] < 0.02
