"""The content of dataset_info.json, from literal results of the pipelines."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from planted import planted_config

from beam_pipelines.jobs.job import Job
from beam_pipelines.launching.dataset_info import (
    check_windows,
    impressions_info,
    merge_infos,
    num_rows_read,
    pairs_info,
    vocabularies_info,
)
from beam_pipelines.transforms.vocabularies import save_vocabulary
from tfrs_pretrain.config import Config
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.vocabulary import Vocabulary

ACCOUNT = {"read": 20, "kept": {"train": 7, "validation": 2, "test": 3}, "rejected": {"late": 3, "bad": 1},
           "filtered": {"outside every window": 4}, "low": 5, "high": 40}
SHARD = {"path": "x", "bytes": 1, "records": 1, "crc32c": "0"}


@pytest.fixture
def job(tmp_path) -> Job:
    tree = planted_config()
    tree["dataset"] |= {"negative_sampling": {"rate": 0.5}}
    job = Job(Config.model_validate(tree), "raw", str(tmp_path))
    for name, rules in job.schema.vocabularies.items():
        ids = pa.array(["a"] if rules.dtype == "string" else [1])
        save_vocabulary(Vocabulary(ids, np.array([3]), rules.oov_rows), job.folder, name)
    return job


def _result(job: Job, name: str, content) -> None:
    folder = Path(job.path(".results"))
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(content))


def _log(job: Job, name: str, **changes) -> None:
    _result(job, f"account-{name}", ACCOUNT | changes)
    _result(job, f"rejected-{name}", ["rejected/b", "rejected/a"])


def _joins(job: Job, **splits) -> None:
    _result(job, "joins", {f"impressions/{split}": {"impressions": 10, "unmatched": {}} | counts
                           for split, counts in splits.items()})


def _files(split: str, *examples: int, **measures: int) -> list[dict]:
    return [SHARD | {"split": split, "path": f"{split}-{number}", "examples": count, "measures": measures}
            for number, count in enumerate(examples)]


def test_rows_are_counted_by_outcome(job):
    _log(job, "impressions")
    _result(job, "impressions", _files("impressions/train", 3, 4) + _files("impressions/test", 5))
    _joins(job)
    assert num_rows_read(job, job.impressions) == 20
    counts = impressions_info(job)["counts"]
    assert counts == {"impressions": {
        "read": 20, "written": 12, "rejected": {"late": 3, "bad": 1}, "filtered": 4,
        "filtered_by": {"outside every window": 4}, "dead_letter": ["rejected/a", "rejected/b"]}}


@pytest.mark.parametrize("examples", [11, 13])
def test_counts_that_do_not_add_up_are_refused(examples, job):
    _log(job, "impressions")
    _result(job, "impressions", _files("impressions/train", examples))
    with pytest.raises(UserError, match=rf"20 rows were read but {examples} written, 4 rejected and 4 filtered"):
        impressions_info(job)


def test_sums_become_rates_per_example(job):
    _log(job, "impressions")
    measures = {"positives": 3, "oov_users": 1, "oov_items": 2, "tags_length": 9}
    _result(job, "impressions", _files("impressions/train", 4, 6, **measures) + _files("impressions/test", 0) +
            _files("impressions/validation", 2, positives=1))
    found = {"pretrained_users": 9, "pretrained_both": 7, "items_table": 10}
    _joins(job, train={"found": found, "missing": {"dwell": 3}})
    info = impressions_info(job)
    train = info["splits"]["impressions/train"]
    assert train.pop("shards") == [SHARD | {"path": f"impressions/train-{number}", "examples": count}
                                   for number, count in ((0, 4), (1, 6))]
    assert train.pop("coverage") == {"pretrained_users": 0.9, "pretrained_items": 0, "pretrained_both": 0.7,
                                     "users_table": 0, "items_table": 1}
    assert train.pop("missing") == {"surface": 0, "dwell": 3, "topic": 0, "quality": 0, "country": 0}
    assert train == {"examples": 10, "label_rate": 0.6, "oov_user_share": 0.2, "oov_item_share": 0.4,
                     "tags_length": 1.8, "negative_rate": 0.5}
    validation = info["splits"]["impressions/validation"]
    assert (validation["label_rate"], "negative_rate" in validation) == (0.5, False)
    assert info["splits"]["impressions/test"]["examples"] == 0
    assert info["impressions_format"] == "examples"


def test_pairs_name_their_columns(job):
    _log(job, "engagements", read=9)
    _result(job, "pairs", _files("pairs/train", 1))
    info = pairs_info(job)
    assert (info["pair_columns"], info["relations"]) == ({"query": "int32", "candidate": "int32"}, [])
    assert info["counts"]["engagements"]["written"] == 1
    assert "numeric" not in info
    assert info["vocabularies"]["item"]["count"] == 3


def test_statistics_of_other_vocabularies_are_taken_over(job, tmp_path):
    _log(job, "engagements", read=9)
    _result(job, "pairs", _files("pairs/train", 1))
    numeric = {"dwell": {"mean": 1.0, "std": 2.0}}
    (tmp_path / "dataset_info.json").write_text(json.dumps({"kind": "vocabulary", "numeric": numeric}))
    other = Job(job.config, "raw", job.folder, vocabulary=str(tmp_path))
    assert pairs_info(other)["numeric"] == numeric


def test_vocabularies_record_the_rows_that_they_were_built_from(job):
    for name in ("engagements", "impressions"):
        _log(job, name)
    for feature in ("dwell", "quality"):
        _result(job, f"numeric-{feature}", {"mean": 0.5, "std": len(feature)})
    info = vocabularies_info(job)
    assert info["numeric"] == {"dwell": {"mean": 0.5, "std": 5}, "quality": {"mean": 0.5, "std": 7}}
    assert info["counts"]["impressions"]["kept"] == ACCOUNT["kept"]
    assert info["counts"]["impressions"]["written"] == 12
    assert info["engagements_end"] == 20  # of the window; the log ends at 40
    assert info["vocabularies"]["item"]["occurring_ids"] == 1
    assert info["vocabularies"]["item"]["median_count"] == 3
    assert "extended" not in info


def test_sections_of_all_parts_are_merged():
    assert merge_infos({"counts": {"a": 1}, "x": 1}, {"counts": {"b": 2}, "splits": {"s": 3}, "x": 2}, {"y": 4}) == {
        "counts": {"a": 1, "b": 2}, "splits": {"s": 3}, "x": 2, "y": 4}


@pytest.mark.parametrize(("changes", "message"), [
    ({"kept": {"train": 1, "test": 1}}, r"^window validation \[28, 30\) of column 'day' has no usable row of table "
     r"impressions: the values range from 5 to 40; 4 rows were rejected\. Correct windows\.validation or the table$"),
    ({"kept": {}, "low": None, "high": None}, r"^window train .*: 20 rows were read, none with a value in that col")])
def test_an_empty_window_is_named_with_the_range_of_the_data(changes, message, job):
    _log(job, "impressions", **changes)
    with pytest.raises(UserError, match=message):
        check_windows(job, job.impressions)


def test_windows_with_rows_pass(job):
    _log(job, "impressions")
    check_windows(job, job.impressions)


def test_the_range_of_dates_is_readable(job):
    tree = planted_config()
    tree["windows"] = {name: {"start": f"2024-03-0{day}", "end": f"2024-03-0{day + 1}"}
                       for day, name in enumerate(("pretrain", "train", "validation", "test"), start=1)}
    dated = Job(Config.model_validate(tree), "raw", job.folder)
    _log(dated, "engagements", kept={}, low=0, high=86400_000001)
    with pytest.raises(UserError, match=r"range from 1970-01-01T00:00:00.000000 to 1970-01-02T00:00:00.000001; 4"):
        check_windows(dated, dated.engagements)
