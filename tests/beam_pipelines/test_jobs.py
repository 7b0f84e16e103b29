"""Each job alone, on local folders and on an object store; extended vocabularies."""

import copy
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml
from bucket_file_system import BucketFileSystem
from folder_contents import folder_contents
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import planted_config as planted_tree
from vocabulary_windows import extended

from beam_pipelines import build_dataset, build_impressions, build_pairs, build_vocabulary
from beam_pipelines.jobs.options import ExtendOptions, SplitOptions, VocabularyOptions
from beam_pipelines.launching.launch import main
from tfrs_pretrain.artifact_names import DATASET_INFO
from tfrs_pretrain.artifacts import read_manifest
from tfrs_pretrain.cli import app
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.vocabulary import Vocabulary

JOBS = {"build_vocabulary": build_vocabulary, "build_pairs": build_pairs, "build_impressions": build_impressions,
        "build_dataset": build_dataset}


@pytest.fixture
def arguments(tmp_path, planted_logs):
    """Returns the command line of a job that writes ``output``; ``changes`` replace keys of configuration sections."""

    def made(output, *extra: str, raw: Path | str = planted_logs, **changes) -> list[str]:
        tree = copy.deepcopy(planted_tree())
        for section, keys in changes.items():
            tree[section] = tree[section] | keys
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.yaml"
        path.write_text(yaml.safe_dump(tree))
        return [f"--config={path}", f"--raw={raw}", f"--output={output}", *extra]

    return made


@pytest.fixture(scope="module")
def vocabulary(planted_logs, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("vocabulary")
    (folder / "config.yaml").write_text(yaml.safe_dump(planted_tree()))
    build_vocabulary.run([f"--config={folder / 'config.yaml'}", f"--raw={planted_logs}", f"--output={folder / 'out'}"])
    return folder / "out"


def _same_files(folder: Path, dataset: Dataset, *parts: str) -> None:
    expected = {path: content for path, content in folder_contents(dataset.folder).items() if path.startswith(parts)}
    written = folder_contents(folder)
    assert written.pop(DATASET_INFO)
    assert expected
    assert written == expected


def test_vocabulary_alone(vocabulary, tiny_dataset):
    _same_files(vocabulary, tiny_dataset, "vocabulary/")
    info = read_manifest(vocabulary, "vocabulary", name=DATASET_INFO)
    assert info["numeric"] == tiny_dataset.info["numeric"]
    assert info["vocabularies"] == tiny_dataset.info["vocabularies"]
    count = info["counts"]["engagements"]
    assert count["kept"] == {"pretrain": count["written"]}
    assert count["read"] == 20000 == count["written"] + count["filtered"]


@pytest.mark.parametrize(("job", "kind", "parts"), [
    (build_pairs, "pairs", ("pairs/",)),
    (build_impressions, "impressions", ("impressions/", "golden.parquet", "vocabulary/"))])
def test_pairs_and_impressions_alone(job, kind, parts, vocabulary, tiny_dataset, arguments, tmp_path):
    assert job.run(arguments(tmp_path / "out", f"--vocabulary={vocabulary}")).state == "DONE"
    _same_files(tmp_path / "out", tiny_dataset, *parts)
    info = read_manifest(tmp_path / "out", kind, name=DATASET_INFO)
    assert info["splits"] == {name: split for name, split in tiny_dataset.info["splits"].items() if kind in name}
    assert info["vocabularies"] == tiny_dataset.info["vocabularies"]
    assert info["numeric"] == tiny_dataset.info["numeric"]


def test_a_later_log_for_evaluation_needs_only_its_own_window(vocabulary, planted_logs, tiny_dataset, tmp_path):
    """The week's log has no rows of other windows; the configuration is that of the vocabularies."""
    week = tmp_path / "week"
    week.mkdir()
    for name in ("items", "users"):
        (week / f"{name}.parquet").write_bytes((planted_logs / f"{name}.parquet").read_bytes())
    shown = pq.read_table(planted_logs / "impressions.parquet")
    pq.write_table(shown.filter(pc.greater_equal(shown["day"], 30)), week / "impressions.parquet")
    build_impressions.run([f"--vocabulary={vocabulary}", f"--raw={week}", f"--output={tmp_path / 'out'}",
                           "--splits=test", "--set=windows.test.end=40"])
    _same_files(tmp_path / "out", tiny_dataset, "impressions/test", "vocabulary/")
    info = Dataset.open(tmp_path / "out", ("dataset", "impressions")).info
    assert list(info["splits"]) == ["impressions/test"]
    assert info["config"]["windows"]["test"] == {"start": 30, "end": 40}
    with pytest.raises(UserError, match="contains 'impressions', expected 'dataset'"):
        Dataset.open(tmp_path / "out")


def test_inputs_are_never_overwritten(tiny_dataset, planted_logs, arguments, tmp_path):
    before, logs = tmp_path / "before", tmp_path / "logs"
    shutil.copytree(tiny_dataset.folder, before)
    shutil.copytree(planted_logs, logs)
    there = sorted(tmp_path.rglob("*"))
    for output, options, named in ((before, [f"--extend={before}/"], "before/"), (tmp_path, [], "engagements.parquet"),
                                   (f"{logs}/../logs", [], "engagements.parquet")):
        with pytest.raises(UserError, match=rf"contains '.*{named}', which this job reads: name another"):
            build_dataset.run(arguments(output, "--overwrite", *options, raw=logs))
    assert [path for path in sorted(tmp_path.rglob("*")) if path.suffix != ".yaml"] == there


def test_an_unwritable_output_is_reported_in_one_line(arguments, tmp_path):
    """A file in place of the folder fails like a folder without permission, also for root."""
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"'.*/file/out/unfinished' cannot be written \(.*\): check the path") as caught:
        build_vocabulary.run(arguments(tmp_path / "file" / "out"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", JOBS)
def test_help_names_inputs_outputs_and_options(name, monkeypatch, capsys):
    groups = {"build_pairs": (VocabularyOptions,), "build_impressions": (VocabularyOptions, SplitOptions)}.get(
        name, (ExtendOptions,))
    monkeypatch.setattr("sys.argv", [name, "--help"])
    assert main(f"beam_pipelines.{name}", *groups) == 0
    text = capsys.readouterr().out
    assert f"python -m beam_pipelines.{name} --config" in text
    for word in ("Reads the", "dataset_info.json", "--raw", "--overwrite", "--read_batch_rows", "--set"):
        assert word in text
    for option, group in (("--extend", ExtendOptions), ("--vocabulary F", VocabularyOptions),
                          ("--splits", SplitOptions)):
        assert (option in text) == (group in groups), option


def test_extending_keeps_rows_and_appends(planted_logs, arguments, tmp_path):
    early, late = tmp_path / "early", tmp_path / "late"
    build_vocabulary.run(arguments(early, windows={"pretrain": {"start": 0, "end": 2}}, schema={
        "item": {"column": "item", "dtype": "string", "oov_rows": 8, "min_count": 2}}))
    build_vocabulary.run(arguments(late, f"--extend={early}", windows={"pretrain": {"start": 2, "end": 20}}, schema={
        "item": {"column": "item", "dtype": "string", "oov_rows": 8, "min_count": 3, "max_size": 350}}))
    before, after = (Vocabulary.load(folder / "vocabulary" / "item.parquet") for folder in (early, late))
    first = before.ids.to_pylist()
    assert 0 < len(first) < 300
    assert after.ids.to_pylist()[:len(first)] == first
    table = pq.read_table(planted_logs / "engagements.parquet")
    window = table.filter(pc.and_(pc.greater_equal(table["day"], 2), pc.less(table["day"], 20)))
    count_bins = {row["values"]: row["counts"] for row in window["item"].value_counts().to_pylist()}
    assert after.counts.tolist() == [count_bins.get(name, 0) for name in after.ids.to_pylist()]
    new = sorted((name for name, count in count_bins.items() if count >= 3 and name not in first),
                 key=lambda name: (-count_bins[name], name))
    assert after.ids.to_pylist()[len(first):] == new[:350 - len(first)]
    info = read_manifest(late, "vocabulary", name=DATASET_INFO)
    assert info["extended"] == read_manifest(early, "vocabulary", name=DATASET_INFO)["vocabularies"]
    assert info["lifecycle"]["item"] == {"kept": len(first), "admitted": after.num_ids - len(first), "evicted": 0,
                                         "reused": 0, "deleted": 0}


def test_a_dataset_can_extend_another(tiny_dataset, arguments, tmp_path):
    """With the same window every id keeps its row and its count, so nothing changes."""
    build_dataset.run(arguments(tmp_path / "out", f"--extend={tiny_dataset.folder}"))
    _same_files(tmp_path / "out", tiny_dataset, "vocabulary/", "pairs/", "impressions/", "golden")


def test_the_command_line_extends_a_dataset_too(tiny_dataset, planted_logs, arguments, tmp_path, capsys):
    """Later windows have other counts: a new vocabulary would have another order."""
    config, *_ = arguments(tmp_path / "out", windows={"pretrain": {"start": 10, "end": 22},
                                                      "train": {"start": 22, "end": 28}})
    command = ["dataset", config, f"--raw={planted_logs}", f"--output={tmp_path / 'out'}"]
    app([*command, f"--extend={tiny_dataset.folder}"], standalone_mode=False)
    before, after = (Vocabulary.load(folder / "vocabulary" / "item.parquet").ids.to_pylist()
                     for folder in (tiny_dataset.folder, tmp_path / "out"))
    assert after[:len(before)] == before
    assert f"vocabulary item: {len(before)} ids keep their rows, {len(after) - len(before)} are new" in (
        capsys.readouterr().out)
    for option in ("--vocabulary=x", "--splits=test"):
        with pytest.raises(UserError, match=f"{option.partition('=')[0]} is not an option of this job"):
            app([*command, "--overwrite", option], standalone_mode=False)
    assert (tmp_path / "out" / DATASET_INFO).is_file()


IDS = st.dictionaries(st.integers(0, 40), st.integers(1, 5), min_size=1)


@settings(deadline=None)
@given(st.lists(IDS, min_size=1, max_size=5), st.integers(1, 3), st.none() | st.integers(1, 30))
def test_repeated_extension_never_moves_a_row(windows, min_count, max_size):
    def table(counts):
        return pa.array(list(counts), pa.int64()), np.array(list(counts.values()))

    vocabulary = Vocabulary.from_counts(*table(windows[0]), oov_rows=2, min_count=min_count, max_size=max_size)
    for counts in windows[1:]:
        before = vocabulary
        vocabulary = extended(before, *table(counts), min_count=min_count, max_size=max_size)
        assert vocabulary.lookup(before.ids).tolist() == before.lookup(before.ids).tolist()
        assert vocabulary.counts.tolist() == [counts.get(number, 0) for number in vocabulary.ids.to_pylist()]
        known = set(before.ids.to_pylist())
        admitted = sorted((number for number, count in counts.items() if count >= min_count and number not in known),
                          key=lambda number: (-counts[number], number))
        room = len(admitted) if max_size is None else max_size - len(known)
        assert vocabulary.ids.to_pylist()[len(known):] == admitted[:room]
        assert max_size is None or len(vocabulary.ids) <= max_size


MISTAKES = {
    "no vocabulary": (build_pairs, [], {}, "--vocabulary is missing"),
    "wrong option": (build_pairs, ["--vocabulary={v}", "--extend={v}"], {}, "--extend is not an option of this job"),
    "wrong option too": (build_dataset, ["--vocabulary={v}"], {}, "--vocabulary is not an option of this job"),
    "unfinished": (build_pairs, ["--vocabulary={v}/vocabulary"], {}, "has no readable dataset_info.json"),
    "other rows": (build_pairs, ["--vocabulary={v}"], {"schema": {"user": {
        "column": "member", "dtype": "int64", "oov_rows": 5}}},
        r"vocabulary 'user' of .* has \(dtype, oov_rows\) \('int64', 2\), .* declares \('int64', 5\)"),
    "leak": (build_impressions, ["--vocabulary={v}"], {"windows": {
        "pretrain": {"start": 0, "end": 10}, "train": {"start": 10, "end": 20},
        "validation": {"start": 20, "end": 24}, "test": {"start": 24, "end": 30}}},
        r"were built from \[20, 28\), which overlaps the validation window \[20, 24\)"),
    "no such split": (build_impressions, ["--vocabulary={v}", "--splits=all"], {},
                      "--splits 'all': expected one or more of"),
    "too many": (build_vocabulary, ["--extend={v}"], {"schema": {"item": {
        "column": "item", "dtype": "string", "oov_rows": 8, "max_size": 5}}},
        r"vocabulary 'item': .* has \d+ ids, more than max_size 5"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_reported_in_one_line_and_leave_no_output(mistake, vocabulary, arguments, tmp_path):
    job, extra, changes, message = MISTAKES[mistake]
    with pytest.raises(UserError, match=message) as caught:
        job.run(arguments(tmp_path / "out", *(option.format(v=vocabulary) for option in extra), **changes))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_vocabulary_folder_is_not_a_dataset(vocabulary):
    with pytest.raises(UserError, match="contains 'vocabulary', expected 'dataset'"):
        Dataset.open(vocabulary)


def test_logs_and_datasets_can_be_on_any_file_system(tiny_dataset, planted_logs, arguments, tmp_path, monkeypatch):
    objects = BucketFileSystem.create_bucket(tmp_path, monkeypatch)
    for path in planted_logs.glob("*.parquet"):
        (objects / path.name).write_bytes(path.read_bytes())
    argv = arguments("bucket://data/out", raw="bucket://")
    app(["dataset", *argv], standalone_mode=False)  # the command line must not treat URLs as local paths
    _same_files(objects / "data" / "out", tiny_dataset, "vocabulary/", "pairs/", "impressions/", "golden")
    with pytest.raises(UserError, match="'bucket://data/out' has a finished dataset"):
        build_dataset.run(argv)
    (objects / "data" / "out" / "stale").touch()
    build_dataset.run([*argv, "--overwrite"])
    assert not (objects / "data" / "out" / "stale").exists()
