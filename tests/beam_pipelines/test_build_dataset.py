"""The whole job: reproducible bytes, an account of every row, one line for every mistake."""

import datetime
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from folder_contents import folder_contents
from planted import planted_config as planted_tree

from beam_pipelines import build_dataset, build_impressions
from beam_pipelines.build_dataset import build, run
from tfrs_pretrain.config import Config
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.errors import UserError


@pytest.fixture
def logs(planted_logs, tmp_path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(planted_logs, tmp_path / "logs"))


def _rewrite(path: Path, change) -> None:
    pq.write_table(change(pq.read_table(path)), path)


def _with_column(name: str, make):
    def change(table: pa.Table) -> pa.Table:
        return table.set_column(table.schema.get_field_index(name), name, make(table[name]))
    return change


def _shuffled(table: pa.Table) -> pa.Table:
    return table.take(np.random.default_rng(3).permutation(table.num_rows))


def test_bytes_do_not_depend_on_row_order_files_or_batches(tiny_dataset, planted_config, logs, tmp_path):
    for name in ("engagements", "impressions", "items", "users"):
        table = _shuffled(pq.read_table(logs / f"{name}.parquet"))
        (logs / f"{name}.parquet").unlink()
        (logs / f"{name}.parquet").mkdir()
        for number, rows in enumerate((slice(0, 100), slice(100, None))):
            part = table.slice(rows.start, (rows.stop or table.num_rows) - rows.start)
            pq.write_table(part, logs / f"{name}.parquet" / f"part-{number}.parquet", row_group_size=777)
    build(planted_config, logs, tmp_path / "again", ["--read_batch_rows=500"])
    assert folder_contents(tmp_path / "again") == folder_contents(tiny_dataset.folder)


def test_the_test_window_changes_nothing_that_was_learned(tiny_dataset, planted_config, logs, tmp_path):
    """With fewer test impressions only the test split and the counts differ."""
    _rewrite(logs / "impressions.parquet", lambda table: table.filter(pc.less(table["day"], 31)))
    _rewrite(logs / "engagements.parquet", lambda table: table.filter(pc.less(table["day"], 20)))
    build(planted_config, logs, tmp_path / "cut")
    whole, cut = folder_contents(tiny_dataset.folder), folder_contents(tmp_path / "cut")
    changed = {name for name in whole if whole[name] != cut[name]}
    assert changed == {"dataset_info.json", *(f"impressions/test-{shard:05d}-of-00002.tfrecord" for shard in (0, 1))}
    for key in ("numeric", "vocabularies"):
        assert Dataset.open(tmp_path / "cut").info[key] == tiny_dataset.info[key]


def test_bad_rows_are_rejected_and_counted_and_change_nothing_else(tiny_dataset, planted_config, logs, tmp_path):
    def damage(table: pa.Table) -> pa.Table:
        bad = table.slice(0, 5).to_pylist()
        for row, change in zip(bad, ({"member": None}, {"member": -4}, {"item": ""}, {"ts": None}, {"clicked": 3}),
                               strict=True):
            row.update(change)
        return pa.concat_tables([table, pa.Table.from_pylist(bad, table.schema)])

    _rewrite(logs / "impressions.parquet", damage)
    info = build(planted_config, logs, tmp_path / "damaged")
    count = info["counts"]["impressions"]
    assert count["rejected"] == {"missing user id": 1, "negative user id": 1, "missing item id": 1, "missing time": 1,
                                 "label outside 0 and 1": 1}
    assert count["read"] == 8005 == count["written"] + 5 + count["filtered"]
    clean = folder_contents(tiny_dataset.folder)
    damaged = folder_contents(tmp_path / "damaged")
    assert {name for name in clean if clean[name] != damaged[name]} == {"dataset_info.json"}


def _keys(dataset: Dataset, split: str) -> list[int]:
    records = list(tf.data.TFRecordDataset(dataset.files(split)).as_numpy_iterator())
    return tf.io.parse_example(records, {"key": tf.io.FixedLenFeature([], tf.int64)})["key"].numpy().tolist()


def test_exact_duplicates_are_kept_with_different_keys(planted_config, logs, tmp_path):
    _rewrite(logs / "impressions.parquet", lambda table: pa.concat_tables([table, table]))
    build(planted_config, logs, tmp_path / "twice")
    dataset = Dataset.open(tmp_path / "twice")
    golden = pq.read_table(dataset.folder / "golden.parquet")
    assert dataset.num_examples("impressions/train") == 2 * 1908
    train, validation = (_keys(dataset, f"impressions/{split}") for split in ("train", "validation"))
    assert len(set(train)) == len(train)
    assert len(set(validation)) == len(validation)
    assert len(set(golden["key"].to_pylist())) == 32
    assert set(golden["key"].to_pylist()) <= set(validation)
    rows = golden.drop_columns("key").to_pylist()
    assert all(str(first) == str(second) for first, second in zip(rows[::2], rows[1::2], strict=True))


def test_windows_may_be_dates(planted_logs, tiny_dataset, tmp_path):
    """The same intervals written as dates of the timestamp column give the same records."""
    tree = planted_tree()
    tree["schema"]["window"] = "ts"
    first = datetime.date(2024, 3, 1)
    tree["windows"] = {name: {end: first + datetime.timedelta(days=day) for end, day in window.items()}
                       for name, window in tree["windows"].items()}
    build(Config.model_validate(tree), planted_logs, tmp_path / "dates")
    days, dates = folder_contents(tiny_dataset.folder), folder_contents(tmp_path / "dates")
    assert {name for name in days if days[name] != dates[name]} == {"dataset_info.json"}


MISTAKES = {
    "missing file": (lambda logs: (logs / "items.parquet").unlink(),
                     r"table items: no file at '.*items.parquet', expected a file, a folder of .parquet files or"),
    "not Parquet": (lambda logs: (logs / "users.parquet").write_text("member,country\n"),
                    r"table users: '.*users.parquet' is not readable as Parquet"),
    "missing column": (lambda logs: _rewrite(logs / "impressions.parquet", lambda t: t.drop_columns("clicked")),
                       r"table impressions: '.*' has no column 'clicked' \(expected integer, boolean or float\)"),
    "id type": (lambda logs: _rewrite(logs / "engagements.parquet", _with_column(
        "member", lambda column: column.cast(pa.string()))),
        "table engagements: column 'member' of '.*' is string, expected integer"),
    "feature type": (lambda logs: _rewrite(logs / "items.parquet", _with_column(
        "topic_id", lambda column: column.cast(pa.string()))),
        "table items: column 'topic_id' of '.*' is string, expected integer"),
    "window type": (lambda logs: _rewrite(logs / "impressions.parquet", _with_column(
        "day", lambda column: column.cast(pa.date32()))),
        r"column 'day' of '.*' is date32\[day\], expected integer \(the windows are integers\)"),
    "time type": (lambda logs: _rewrite(logs / "impressions.parquet", _with_column(
        "ts", lambda column: column.cast(pa.string()).cast(pa.binary()))),
        "column 'ts' of '.*' is binary, expected integer, date, timestamp or ISO 8601 string"),
    "repeated id": (lambda logs: _rewrite(logs / "users.parquet", lambda t: pa.concat_tables([t, t.slice(3, 1)])),
                    r"table users: id 1051 in column 'member' occurs 2 times \(1 ids repeat\)"),
    "no engagements": (lambda logs: _rewrite(logs / "engagements.parquet", lambda t: t.filter(
        pc.greater_equal(t["day"], 20))),
        r"window pretrain \[0, 20\) of column 'day' has no usable row of table engagements: the values range "
        "from 20 to 33; 0 rows were rejected"),
    "no test": (lambda logs: _rewrite(logs / "impressions.parquet", lambda t: t.filter(pc.less(t["day"], 30))),
                r"window test \[30, 34\) of column 'day' has no usable row of table impressions: .* from 0 to 29"),
    "no rows": (lambda logs: _rewrite(logs / "engagements.parquet", lambda t: t.slice(0, 0)),
                "window pretrain .* 0 rows were read, none with a value in that column"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_each_mistake_is_reported_in_one_line_and_leaves_no_output(mistake, planted_config, logs, tmp_path):
    damage, message = MISTAKES[mistake]
    damage(logs)
    with pytest.raises(UserError, match=message) as caught:
        build(planted_config, logs, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["logs"]


def test_damage_is_reported_while_reading(planted_config, logs, tmp_path):
    """The footer is valid, a page is damaged: a worker finds it, and the user sees the same message."""
    path = logs / "impressions.parquet"
    content = bytearray(path.read_bytes())
    content[100:3000] = b"\xff" * 2900
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"table impressions: '.*' is not readable as Parquet") as caught:
        build(planted_config, logs, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_date_windows_need_a_date_column(planted_logs, tmp_path):
    tree = planted_tree()
    tree["windows"] = {name: {end: datetime.date(2024, 3, 1) + datetime.timedelta(days=day)
                              for end, day in window.items()} for name, window in tree["windows"].items()}
    message = r"'day' of .* is int32, expected date, timestamp or ISO 8601 string \(the windows are d"
    with pytest.raises(UserError, match=message):
        build(Config.model_validate(tree), planted_logs, tmp_path / "out")


def test_a_finished_folder_is_kept_unless_overwrite_is_given(tiny_dataset, planted_config, planted_logs, tmp_path):
    folder = Path(shutil.copytree(tiny_dataset.folder, tmp_path / "finished"))
    (folder / "stale").touch()
    with pytest.raises(UserError, match="has a finished dataset: pass --overwrite"):
        build(planted_config.model_copy(update={"seed": 99}), planted_logs, folder)
    build(planted_config, planted_logs, folder, overwrite=True)
    assert folder_contents(folder) == folder_contents(tiny_dataset.folder)


def test_a_folder_of_other_files_is_never_cleaned(planted_config, planted_logs, tmp_path):
    (tmp_path / "mine.txt").write_text("dear")
    with pytest.raises(UserError, match="is not empty: pass --overwrite"):
        build(planted_config, planted_logs, tmp_path)
    assert folder_contents(tmp_path) == {"mine.txt": b"dear"}


def test_after_a_crash_the_folder_is_unfinished_and_a_rerun_succeeds(tiny_dataset, planted_config, planted_logs,
                                                                     tmp_path, monkeypatch):
    """The last job is killed and cannot clean up."""
    def die(pipeline, job):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(build_impressions, "build", die)
        with pytest.raises(KeyboardInterrupt):
            build(planted_config, planted_logs, tmp_path / "out")
    with pytest.raises(UserError, match=r"does not exist: run the stage that writes it"):
        Dataset.open(tmp_path / "out")
    left = tmp_path / ".out.unfinished-0" / "pairs"  # a kill leaves this
    left.mkdir(parents=True)
    (left / "train-00007-of-00009.tfrecord").touch()
    build(planted_config, planted_logs, tmp_path / "out")
    assert folder_contents(tmp_path / "out") == folder_contents(tiny_dataset.folder)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_too_many_bad_rows_fail_the_job_and_remain_in_the_dead_letter(planted_config, logs, tmp_path):
    """100 of 8,100 rows are more than a hundredth."""
    _rewrite(logs / "impressions.parquet", lambda table: pa.concat_tables([
        table, table.slice(0, 60).set_column(table.schema.get_field_index("member"), "member",
                                             pa.array([None] * 60, pa.int64())),
        table.slice(60, 40).set_column(table.schema.get_field_index("clicked"), "clicked",
                                       pa.array([5] * 40, pa.int8()))]))
    with pytest.raises(UserError, match=r"table impressions: 100 of 8100 rows were rejected \(label outside 0 and 1: "
                                        r"40, missing user id: 60\), more than dataset\.max_rejected_share = 0\.01 a"
                       ) as caught:
        build(planted_config, logs, tmp_path / "out")
    assert str(tmp_path / "out" / "rejected" / "impressions-*.parquet").removesuffix("-*.parquet") in str(caught.value)
    assert {path.split("/")[0] for path in folder_contents(tmp_path / "out")} == {"rejected", "unfinished"}
    rejected = pq.read_table(tmp_path / "out" / "rejected").to_pandas().sort_values("position")
    assert rejected.position.tolist() == list(range(8000, 8100))
    assert set(rejected.file) == {str(logs / "impressions.parquet")}
    assert rejected.reason.tolist() == ["missing user id"] * 60 + ["label outside 0 and 1"] * 40
    assert json.loads(rejected["values"].iloc[-1])["clicked"] == 5
    tree = planted_tree()
    tree["dataset"] |= {"max_rejected_share": 0.02}
    info = build(Config.model_validate(tree), logs, tmp_path / "out")
    assert info["counts"]["impressions"]["dead_letter"] == sorted(
        f"rejected/{path.name}" for path in (tmp_path / "out" / "rejected").iterdir())
    assert Dataset.open(tmp_path / "out").num_examples("impressions/train") == 1908


@pytest.mark.parametrize("name", ["engagements", "impressions"])
def test_duplicates_are_rejected_if_configured(name, tiny_dataset, logs, tmp_path):
    """Fifty rows are repeated in another file; the repeated impressions have no label, so the first ones are kept."""
    table = pq.read_table(logs / f"{name}.parquet")
    (logs / f"{name}.parquet").rename(logs / "a.parquet")
    (logs / f"{name}.parquet").mkdir()
    (logs / "a.parquet").rename(logs / f"{name}.parquet" / "a.parquet")
    again = table.slice(5000, 50)
    if name == "impressions":
        again = again.set_column(again.schema.get_field_index("clicked"), "clicked", pa.array([0] * 50, pa.int8()))
    pq.write_table(again, logs / f"{name}.parquet" / "b.parquet")
    tree = planted_tree()
    tree["dataset"] |= {"duplicates": {name: "reject"}, "max_rejected_share": 1}
    info = build(Config.model_validate(tree), logs, tmp_path / "out", ["--buckets=7"])
    count = info["counts"][name]
    assert count["rejected"] == {f"duplicate {name[:-1]}": 50}
    assert count["read"] == table.num_rows + 50 == count["written"] + 50 + count["filtered"]
    whole, single = folder_contents(tiny_dataset.folder), folder_contents(tmp_path / "out")
    assert {key for key in whole if whole[key] != single[key]} == {"dataset_info.json"}


def test_run_reads_configuration_and_overrides(planted_logs, tmp_path):
    import yaml

    (tmp_path / "config.yaml").write_text(yaml.safe_dump(planted_tree()))
    argv = [f"--config={tmp_path / 'config.yaml'}", f"--raw={planted_logs}", f"--output={tmp_path / 'out'}",
            "--set=dataset.shards=1", "--set=dataset.golden_examples=3"]
    assert run(argv).state == "DONE"
    dataset = Dataset.open(tmp_path / "out")
    assert len(dataset.files("impressions/train")) == 1
    assert pq.read_table(dataset.folder / "golden.parquet").num_rows == 3


@pytest.mark.parametrize(("argv", "message"), [
    (["--raw=x", "--output=y"], "--config is missing"),
    (["--config=completejourney", "--raw=x", "--output=y", "--overwrit"], "unknown option --overwrit"),
    (["--config=completejourney", "--raw=x", "--output=y", "--set=dataset.shard=1"], "unknown key 'dataset.shard'"),
])
def test_command_line_mistakes(argv, message):
    with pytest.raises(UserError, match=message):
        run(argv)


def test_exit_code_and_one_line_on_standard_error(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "beam_pipelines.build_dataset", "--config=completejourney", f"--raw={tmp_path}",
         f"--output={tmp_path / 'out'}"], capture_output=True, text=True, check=False,
        cwd=Path(build_dataset.__file__).parents[1])
    assert done.returncode == 2
    assert done.stderr.startswith("error: table engagements: no file at")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
