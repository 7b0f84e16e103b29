"""The same dataset from logs whose columns have other types than the declared ones."""

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from planted import planted_config as planted_tree

from beam_pipelines.build_dataset import build
from beam_pipelines.jobs.job import RUN_FILE
from tfrs_pretrain.config import Config

ISO = "%Y-%m-%dT%H:%M:%S"


def _odd(table: pa.Table) -> pa.Table:
    """Ids as fields of a struct, as string_view and double; times as ISO 8601 strings; others as decimals."""
    columns = dict(zip(table.column_names, (column.combine_chunks() for column in table.columns), strict=True))
    odd = {"ids": pa.StructArray.from_arrays([columns.pop("item").cast(pa.string()).cast(pa.string_view()),
                                              columns.pop("member").cast(pa.float64())], ["item", "member"])}
    odd["ts"] = pc.strftime(columns.pop("ts").cast(pa.timestamp("us")), ISO)
    if "clicked" in columns:
        odd["clicked"] = columns.pop("clicked").cast(pa.int64()).cast(pa.decimal128(20, 1))
    return pa.table(columns | odd)


def test_the_dataset_is_byte_identical(tiny_dataset, planted_logs, tmp_path):
    """One folder for each day, beside an empty file, hidden files, and a file without rows."""
    for name in ("engagements", "impressions"):
        whole = pq.read_table(planted_logs / f"{name}.parquet")
        for day in whole["day"].unique().to_pylist():
            table = _odd(whole.filter(pc.equal(whole["day"], day)).drop_columns("day"))
            (tmp_path / name / f"day={day}").mkdir(parents=True)
            pq.write_table(table, tmp_path / name / f"day={day}" / "a.parquet")
        bad = pa.StructArray.from_arrays([pa.array(["x"], pa.string_view()), pa.array([0.5])], ["item", "member"])
        place = table.schema.get_field_index("ids")
        pq.write_table(table.slice(0, 1).set_column(place, "ids", bad), tmp_path / name / f"day={day}" / "bad.parquet")
        (tmp_path / name / "day=0" / "_part.parquet").write_bytes(b"damaged")
        (tmp_path / name / "_SUCCESS").touch()
        empty = pa.table({column: pa.nulls(0) for column in table.column_names if column != "ids"}
                         | {"ids": pa.array([], table.schema.field("ids").type)})
        pq.write_table(empty, tmp_path / name / "day=0" / "empty.parquet")
    items, users = (pq.read_table(planted_logs / f"{name}.parquet") for name in ("items", "users"))
    items = items.set_column(items.schema.get_field_index("topic_id"), "topic_id",
                             items["topic_id"].cast(pa.int64()).cast(pa.decimal128(20, 0)))
    pq.write_table(items.rename_columns({"item": "ids.item"}), tmp_path / "items.parquet")
    users = users.set_column(users.schema.get_field_index("member"), "ids.member", users["member"].cast(pa.uint64()))
    users.to_pandas().to_csv(tmp_path / "users.tsv.bz2", index=False, sep="\t")
    tree = planted_tree()
    tree["schema"]["user"]["column"], tree["schema"]["item"]["column"] = "ids.member", "ids.item"
    tree["dataset"]["sources"] = {"engagements": "engagements", "impressions": "impressions", "users": "users.tsv.bz2"}
    info = build(Config.model_validate(tree), tmp_path, tmp_path / "out")
    assert info["counts"]["impressions"]["rejected"] == {"unparsable user id": 1}
    for path in tiny_dataset.folder.rglob("*"):
        if path.is_file() and path.name not in ("dataset_info.json", RUN_FILE):
            assert (tmp_path / "out" / path.relative_to(tiny_dataset.folder)).read_bytes() == path.read_bytes(), path
