"""Vocabularies of a job: files, lookup, and whether they fit."""

import json
import pickle

import numpy as np
import pyarrow as pa
import pytest
from bucket_file_system import BucketFileSystem
from planted import planted_config

from beam_pipelines.jobs.job import Job
from beam_pipelines.records.local_copies import local_copy
from beam_pipelines.transforms.id_lookups import IdLookups, LookupDoFn, SharedLookups
from beam_pipelines.transforms.vocabularies import (
    Vocabularies,
    check_vocabularies,
    copy_vocabulary,
    load_finished_vocabulary,
    load_vocabulary,
    save_vocabulary,
    vocabulary_info,
)
from tfrs_pretrain.artifacts import write_manifest
from tfrs_pretrain.config import Config
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.id_lookup import IdLookup
from tfrs_pretrain.vocabulary import Vocabulary

NAMES = pa.array(["b", "", "é"])
ENTRIES = {"user": ("int64", 2), "item": ("string", 8), "surface": ("string", 1), "topic": ("int64", 1),
           "country": ("string", 1)}


@pytest.fixture
def lookups(vocabularies) -> IdLookups:
    by_name = {name: vocabulary.id_lookup for name, vocabulary in vocabularies.by_name.items()}
    return IdLookups(by_name, lambda name: vocabularies.by_name[name].occurring)


@pytest.fixture
def vocabularies() -> Vocabularies:
    return Vocabularies({"name": Vocabulary(NAMES, np.array([9, 5, 1]), 2),
                         "number": Vocabulary(pa.array([7, -1]), np.array([3, 3]), 1)})


def test_strings_are_looked_up_plain_or_encoded_and_null_is_the_missing_value(lookups):
    column = pa.array(["é", None, "b", "", "b"])
    for form in (column, column.dictionary_encode()):
        rows = lookups.lookup("name", form)
        assert (rows.dtype, rows.tolist()) == (np.int32, [4, 3, 2, 3, 2])


def test_a_dictionary_may_be_longer_than_its_column(lookups):
    dictionary = pa.array([f"unused {number}" for number in range(50)] + ["é"])
    column = pa.DictionaryArray.from_arrays(pa.array([50, None], pa.int32()), dictionary)
    assert lookups.lookup("name", column).tolist() == [4, 3]


def test_unknown_values_share_rows(lookups):
    assert set(lookups.lookup("name", pa.array([str(number) for number in range(40)])).tolist()) == {0, 1}


def test_integers_are_looked_up(lookups):
    rows = lookups.lookup("number", pa.array([-1, 7, 5]))
    assert (rows.dtype, rows.tolist()) == (np.int32, [2, 1, 0])


def test_the_manifest_describes_each_vocabulary(vocabularies):
    described = vocabularies.describe()
    digest = described["name"].pop("digest")
    assert described["name"] == {"dtype": "string", "oov_rows": 2, "rows": 5, "ids": 3, "count": 15,
                                 "occurring_ids": 3, "median_count": 5}
    assert digest == vocabularies.by_name["name"].digest


def test_a_saved_vocabulary_is_loaded_and_copied_unchanged(vocabularies, tmp_path):
    path = tmp_path / "from" / "vocabulary" / "name.parquet"
    save_vocabulary(vocabularies.by_name["name"], str(tmp_path / "from"), "name")
    loaded = load_vocabulary(str(path))
    assert (loaded.ids, loaded.counts.tolist(), loaded.oov_rows) == (NAMES, [9, 5, 1], 2)
    job = Job(Config.model_validate(planted_config()), "raw", str(tmp_path / "to"), vocabulary=str(tmp_path / "from"))
    write_manifest(tmp_path / "from", "vocabulary", {}, name="dataset_info.json")
    assert copy_vocabulary("name", job) == "name"
    assert (tmp_path / "to" / "vocabulary" / "name.parquet").read_bytes() == path.read_bytes()
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    for read in (lambda: copy_vocabulary("name", job), lambda: load_finished_vocabulary(
            job.vocabulary, "name", vocabulary_info(job.vocabulary))):
        with pytest.raises(UserError, match=r"name\.parquet': expected \d+ bytes with CRC-32C"):
            read()


def test_workers_map_the_files_of_a_finished_folder_or_build_missing_ones(vocabularies, tmp_path):
    tree, source = planted_config(), tmp_path / "from"
    job = Job(Config.model_validate(tree), "raw", str(tmp_path / "to"), vocabulary=str(source))
    for name, (dtype, oov_rows) in ENTRIES.items():
        ids = pa.array([4, None] if dtype == "int64" else ["é", None])
        save_vocabulary(Vocabulary(ids, np.array([1, 0]), oov_rows), str(source), name)
    described = Vocabularies({name: load_vocabulary(str(source / f"vocabulary/{name}.parquet")) for name in ENTRIES})
    (source / "vocabulary/topic.lookup.arrow").unlink()  # as in the folder of an older version
    write_manifest(source, "vocabulary", {"vocabularies": described.describe()}, name="dataset_info.json")
    lookups = IdLookups.open(job)
    assert lookups.lookup("item", pa.array(["é"])).tolist() == [8]
    assert lookups.lookup("topic", pa.array([4])).tolist() == [1]
    assert (lookups.num_rows("item"), lookups.occurring("item").tolist()) == (10, [False] * 8 + [True, False])
    for name in ("item", "topic"):
        copy_vocabulary(name, job)
    assert (tmp_path / "to/vocabulary/item.lookup.arrow").read_bytes() == (
        source / "vocabulary/item.lookup.arrow").read_bytes()
    copied = IdLookup.open(tmp_path / "to/vocabulary/topic.lookup.arrow", described.by_name["topic"].digest)
    assert copied.lookup(pa.array([4])).tolist() == [1]
    (source / "vocabulary/item.lookup.arrow").write_bytes(b"damaged")
    with pytest.raises(UserError, match=r"item\.lookup\.arrow': expected \d+ bytes with CRC-32C"):
        IdLookups.open(job)


def test_remote_files_are_copied_once_and_removed(tmp_path, monkeypatch):
    bucket = BucketFileSystem.create_bucket(tmp_path, monkeypatch)
    (bucket / "a").write_bytes(b"content")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    removed = []
    monkeypatch.setattr("atexit.register", lambda *call, **_: removed.append(call))
    assert local_copy(str(bucket / "a")) == bucket / "a"
    first, second = local_copy("bucket://a"), local_copy("bucket://a")  # times of this store are unknown
    assert first != second
    monkeypatch.setattr("beam_pipelines.records.local_copies._name", lambda path: "same")
    third = local_copy("bucket://a")
    (bucket / "a").unlink()
    assert (local_copy("bucket://a"), third.read_bytes(), len(removed)) == (third, b"content", 3)
    removed[-1][0]()
    assert not third.exists()
    monkeypatch.setattr("os.getuid", lambda: 0.5)
    with pytest.raises(UserError, match="belongs to another user, but local copies of remote files go there"):
        local_copy("bucket://a")


@pytest.fixture
def folder(tmp_path):
    """Writes a manifest of vocabularies; ``windows`` and ``entries`` replace those of the configuration."""
    def write(windows: dict | None = None, kind: str = "vocabulary", **entries) -> str:
        tree = planted_config()
        described = {name: {"dtype": dtype, "oov_rows": oov_rows}
                     for name, (dtype, oov_rows) in (ENTRIES | entries).items() if dtype}
        (tmp_path / "dataset_info.json").write_text(json.dumps({
            "kind": kind, "vocabularies": described, "config": {"windows": tree["windows"] | (windows or {})}}))
        return str(tmp_path)

    return write


def _job(folder: str, **changes) -> Job:
    return Job(Config.model_validate(planted_config()), "raw", "out", **changes)


def test_vocabularies_of_the_same_schema_fit(folder):
    check_vocabularies(_job(folder()), folder())


@pytest.mark.parametrize(("entries", "message"), [
    ({"topic": ("string", 1)}, r"'topic' of '.*' has \(dtype, oov_rows\) \('string', 1\), .* declares \('int64', 1\)"),
    ({"item": ("string", 7)}, r"'item' .* \('string', 7\), .* \('string', 8\)"),
    ({"country": (None, 0)}, r"'country' of '.*' has \(dtype, oov_rows\) None")])
def test_vocabularies_of_another_schema_are_refused(entries, message, folder):
    path = folder(**entries)
    with pytest.raises(UserError, match=message):
        check_vocabularies(_job(path), path)


def test_an_extended_folder_may_lack_a_vocabulary(folder):
    path = folder(country=(None, 0))
    check_vocabularies(_job(path, extend=path), path)


LATER = {"validation": {"start": 50, "end": 60}, "test": {"start": 60, "end": 70}}
ALL = ("train", "validation", "test")


@pytest.mark.parametrize(("splits", "windows", "window"), [
    (ALL, {"train": {"start": 20, "end": 29}}, r"validation window \[28, 30\)"),
    (("train",), {"train": {"start": 20, "end": 29}}, r"validation window \[28, 30\)"),
    (("test",), {"train": {"start": 20, "end": 31}}, r"test window \[30, 34\)"),
    (ALL, {"pretrain": {"start": 0, "end": 29}, "train": {"start": 1, "end": 2}, "allow_overlap": True},
     r"validation window \[28, 30\)")])
def test_vocabularies_from_a_window_to_evaluate_are_refused(splits, windows, window, folder):
    path = folder(LATER | windows)
    with pytest.raises(UserError, match=rf"were built from \[\d+, \d+\), which overlaps the {window}"):
        check_vocabularies(_job(path, splits=splits), path)


@pytest.mark.parametrize(("splits", "end"), [(ALL, 28), (("test",), 30)])
def test_vocabularies_up_to_the_window_to_evaluate_fit(splits, end, folder):
    path = folder(LATER | {"train": {"start": 20, "end": end}})
    check_vocabularies(_job(path, splits=splits), path)


@pytest.mark.parametrize("kind", ["dataset", "vocabulary"])
def test_datasets_and_vocabularies_have_vocabularies(kind, folder):
    assert vocabulary_info(folder(kind=kind))["kind"] == kind


def test_other_folders_are_refused(folder, tmp_path):
    with pytest.raises(UserError, match="has kind 'pairs', expected 'vocabulary' or 'dataset': name another folder"):
        vocabulary_info(folder(kind="pairs"))
    with pytest.raises(UserError, match=r"vocabulary folder '.*/none' has no readable dataset_info\.json"):
        vocabulary_info(str(tmp_path / "none"))


def test_transforms_of_a_pipeline_share_one_copy(tmp_path, monkeypatch):
    loaded = []
    monkeypatch.setattr(IdLookups, "open", classmethod(lambda cls, job: loaded.append(job) or cls({}, {}.get)))
    job = Job(Config.model_validate(planted_config()), "raw", str(tmp_path))
    shared = SharedLookups(job)
    copies = [pickle.loads(pickle.dumps(LookupDoFn(shared))) for _ in range(3)]
    for do_fn in copies:
        do_fn.setup()
    assert len(loaded) == 1
    assert len({id(do_fn._lookups) for do_fn in copies}) == 1
    other = SharedLookups(job).get()
    assert (len(loaded), other is copies[0]._lookups) == (2, False)  # another pipeline may see other files
