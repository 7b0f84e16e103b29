"""Two folders of artifacts: what is the same, what differs, and by how much."""

import io
import json
import os
import zipfile

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sameness.comparison import ADDED, DIFFERENT, MISSING, SAME, compare, failures, largest_difference
from sameness.contents import read_folder
from sameness.table import lines

VALUES = np.array([[0.5, np.nan], [2.0, -1.0]], np.float32)


def network(path, weights, written_at="2024"):
    """A network file: weights by name, and a part that says when it was written."""
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        for name, values in weights.items():
            file[name] = values
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"date_saved": written_at}))
        archive.writestr("model.weights.h5", stream.getvalue())


def artifacts(folder):
    """One file of each type."""
    folder.mkdir()
    (folder / "train.tfrecord").write_bytes(b"record")
    (folder / "page.html").write_text("page")
    np.save(folder / "rows.npy", VALUES)
    np.savez(folder / "answers.npz", **{"variables/table": VALUES, "answers/score": VALUES})
    pq.write_table(pa.table({"id": ["a", None], "score": [0.25, 0.5]}), folder / "scored.parquet")
    network(folder / "network.keras", {"dense/vars/0": VALUES, "dense/vars/1": VALUES[0]})
    (folder / "manifest.json").write_text(json.dumps({"auc": 0.75, "seconds": 3.5, "config": {"epochs": 2}}))
    return folder


@pytest.fixture
def folders(tmp_path):
    return artifacts(tmp_path / "base"), artifacts(tmp_path / "here")


def outcomes(folders):
    (base, _), (here, _) = map(read_folder, folders)
    return compare(base, here)


def changed(folders):
    """(file, name, verdict, difference, whether it counts) of all that is not the same."""
    return [(one.file, one.name, one.verdict, one.difference, one.counts) for one in outcomes(folders)
            if one.verdict != SAME]


def test_equal_folders_are_the_same_whatever_was_written_when(folders):
    network(folders[1] / "network.keras", {"dense/vars/0": VALUES, "dense/vars/1": VALUES[0]}, written_at="2026")
    (folders[1] / "manifest.json").write_text(json.dumps({"config": {"epochs": 3}, "seconds": 9, "auc": 0.75}))
    found = outcomes(folders)
    assert {one.file for one in found} == {"train.tfrecord", "rows.npy", "answers.npz", "scored.parquet",
                                           "network.keras", "manifest.json"}
    assert len(found) == 1 + 1 + 2 + 4 + 2 + 1
    assert not changed(folders)
    assert read_folder(folders[0])[1] == ["page.html"]


def test_one_bit_of_a_record(folders):
    (folders[1] / "train.tfrecord").write_bytes(b"secord")
    assert changed(folders) == [("train.tfrecord", "bytes", DIFFERENT, "1 of 6 values", True)]


@pytest.mark.parametrize(("write", "file", "name"), [
    (lambda folder, values: np.save(folder / "rows.npy", values), "rows.npy", "values"),
    (lambda folder, values: np.savez(folder / "answers.npz", **{"variables/table": VALUES, "answers/score": values}),
     "answers.npz", "answers/score"),
    (lambda folder, values: network(folder / "network.keras", {"dense/vars/0": values, "dense/vars/1": VALUES[0]}),
     "network.keras", "dense/vars/0"),
])
def test_one_ulp_of_an_array(folders, write, file, name):
    values = VALUES.copy()
    values[1, 0] = np.nextafter(np.float32(2), np.float32(3))
    write(folders[1], values)
    assert changed(folders) == [(file, name, DIFFERENT, "2.38e-07", True)]


def test_a_renamed_weight_is_the_same_but_a_renamed_answer_is_not(folders):
    network(folders[1] / "network.keras", {"mlp/vars/0": VALUES, "dense/vars/1": VALUES[0]})
    np.savez(folders[1] / "answers.npz", **{"variables/rows": VALUES, "answers/probability": VALUES})
    assert changed(folders) == [("answers.npz", "answers/score", MISSING, "", True),
                                ("answers.npz", "answers/probability", ADDED, "", True)]
    assert "dense/vars/0 (now mlp/vars/0)" in [one.name for one in outcomes(folders)]


def test_a_value_of_text_in_a_column_and_the_type_of_another(folders):
    pq.write_table(pa.table({"id": ["a", "b"], "score": pa.array([0.25, 0.5], pa.float32())}),
                   folders[1] / "scored.parquet")
    assert changed(folders) == [("scored.parquet", "column id", DIFFERENT, "1 of 2 values", True),
                                ("scored.parquet", "column score", DIFFERENT, "0", True)]


def test_missing_and_added_files(folders):
    (folders[1] / "rows.npy").rename(folders[1] / "more.npy")
    assert changed(folders) == [("rows.npy", "file", MISSING, "", True), ("more.npy", "file", ADDED, "", True)]


def test_another_shape_or_type_of_equal_bytes(folders):
    np.save(folders[1] / "rows.npy", VALUES.ravel())
    ids = pa.array([b"a", None], pa.large_binary())
    pq.write_table(pa.table({"id": ids, "score": [0.25, 0.5]}), folders[0] / "scored.parquet")
    pq.write_table(pa.table({"id": ids.cast(pa.binary()), "score": [0.25, 0.5]}), folders[1] / "scored.parquet")
    assert changed(folders) == [
        ("rows.npy", "values", DIFFERENT, "float32[2, 2] became float32[4]", True),
        ("scored.parquet", "column id", DIFFERENT, "0 of 2 values", True)]


def test_the_file_that_was_written_first_stands_first(folders):
    os.utime(folders[0] / "train.tfrecord", (1, 1))
    os.utime(folders[0] / "manifest.json", (2, 2))
    assert [one.file for one in outcomes(folders)][:2] == ["train.tfrecord", "manifest.json"]


def test_a_metric_must_stay_while_its_key_may_change_and_others_may_come(folders):
    (folders[1] / "manifest.json").write_text(json.dumps({"area": 0.75, "recall": 0.5}))
    assert changed(folders) == [("manifest.json", "recall", ADDED, "", False)]
    (folders[1] / "manifest.json").write_text(json.dumps({"auc": 0.7500000000000001}))
    assert changed(folders) == [("manifest.json", "auc", DIFFERENT, "1.11e-16", True)]


@pytest.mark.parametrize(("base", "here", "expected"), [
    (np.array([1.0, np.nan]), np.array([1.5, np.nan]), "0.5"),
    (np.array([1.0, 2.0]), np.array([1.0, np.nan]), "nan"),
    (np.array([2**63 - 1, 0]), np.array([-(2**63), 0]), "1.84e+19"),
    (np.zeros((2, 3), np.float32), np.zeros(6, np.float32), "float32[2, 3] became float32[6]"),
    (np.array(["a", "b"]), np.array(["a", "c"]), "1 of 2 values"),
    (np.array([True, False]), np.array([True, True]), "1 of 2 values"),
])
def test_largest_difference(base, here, expected):
    assert largest_difference(base, here) == expected


def test_the_table_shows_equal_folders_and_each_difference(folders):
    np.save(folders[1] / "rows.npy", VALUES + 1)
    (folders[1] / "manifest.json").write_text(json.dumps({"auc": 0.75, "recall": 0.5}))
    found = outcomes(folders)
    head, same, *different, rest = lines(found, ["page.html"])
    assert head.split() == ["what", "verdict", "base", "here", "largest", "difference"]
    assert same.startswith(". (10 contents of 5 files)  same")
    rows = next(one for one in found if one.file == "rows.npy")
    assert [line.split() for line in different] == [
        ["rows.npy:", "values", "different", rows.base[:12], rows.here[:12], "1"],
        ["manifest.json:", "recall", "only", "here", "(does", "not", "count)",
         next(one for one in found if one.name == "recall").here[:12]]]
    assert rest == "not compared: 1 files of types .html"
    assert failures(found) == [rows]


def test_many_differences_are_cut_short(folders):
    for folder, scale in zip(folders, (1, 2), strict=True):
        (folder / "manifest.json").write_text(json.dumps([scale * (number + 0.5) for number in range(9)]))
    table = lines(outcomes(folders), [])
    assert [line.split()[:2] for line in table[2:-1]] == [["manifest.json:", str(number)] for number in range(4)]
    assert table[-1] == "... and 5 more; 9 in 1 files differ"
