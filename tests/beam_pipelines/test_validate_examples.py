"""Validation: what it finds in sound, damaged and drifted datasets, what it prints, and how it exits."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
import yaml
from planted import planted_config as planted_tree
from resealed import rewrite

from beam_pipelines import validate_examples
from beam_pipelines.build_dataset import build
from beam_pipelines.jobs.runner import pipeline_options
from beam_pipelines.validate_examples import validate
from beam_pipelines.validation import record_measuring
from tfrs_pretrain.config import Config
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.experiments.logs.planted import write_planted_logs

TRAIN = "impressions/train"


@pytest.fixture
def damaged(tiny_dataset, tmp_path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(tiny_dataset.folder, tmp_path / "damaged"))


@pytest.fixture(scope="module")
def drifted(planted_config, tmp_path_factory) -> Path:
    """A dataset of planted logs with another seed."""
    folder = tmp_path_factory.mktemp("drifted")
    write_planted_logs(folder / "raw", seed=1)
    build(planted_config, folder / "raw", folder / "dataset")
    return folder / "dataset"


def _validate(folder: Path, *arguments: str) -> dict:
    report = folder.parent / "report.json"
    validate(pipeline_options([f"--dataset={folder}", f"--report={report}", *arguments]))
    return json.loads(report.read_text())


def _worst(report: dict, threshold: str, split: str = "", column: str = "") -> dict:
    return next(check for check in report["checks"] if check["threshold"] == threshold
                and split in ("", check["split"]) and column in ("", check["column"]))


def _shard(folder: Path, split: str = TRAIN) -> Path:
    return folder / f"{split}-00000-of-00002.tfrecord"


def _rewrite(path: Path, change) -> None:
    """Applies ``change`` to each example of a file; it returns an example or the bytes of a record."""
    records = [tf.train.Example.FromString(record) for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator()]
    with tf.io.TFRecordWriter(str(path)) as writer:
        for number, example in enumerate(records):
            changed = change(number, example)
            writer.write(changed if isinstance(changed, bytes) else changed.SerializeToString())


def test_a_valid_dataset_passes_and_its_statistics_equal_those_from_tensorflow(tiny_dataset, damaged):
    report = _validate(damaged)
    assert report["violations"] == []
    assert {name: found["examples"] for name, found in report["splits"]["dataset"].items()} == {
        "impressions/train": 1908, "impressions/validation": 434, "impressions/test": 917, "pairs/train": 11130,
        "pairs/heldout": 571}
    records = list(tf.data.TFRecordDataset(tiny_dataset.files(TRAIN)).as_numpy_iterator())
    parsed = tf.io.parse_example(records, {"dwell": tf.io.FixedLenFeature([], tf.float32),
                                           "label": tf.io.FixedLenFeature([], tf.float32),
                                           "quality": tf.io.FixedLenFeature([], tf.float32),
                                           "item": tf.io.FixedLenFeature([], tf.int64)})
    columns = report["splits"]["dataset"][TRAIN]["columns"]
    dwell, quality = parsed["dwell"].numpy().astype(np.float64), parsed["quality"].numpy()
    assert columns["dwell"]["mean"] == pytest.approx(dwell.mean(), rel=1e-12)
    assert columns["dwell"]["std"] == pytest.approx(dwell.std(), rel=1e-12)
    assert columns["label"]["mean"] == pytest.approx(parsed["label"].numpy().mean(dtype=np.float64))
    assert columns["quality"]["missing"] == np.isnan(quality).sum() > 0
    assert columns["item"]["oov"] == (parsed["item"].numpy() < 8).sum() > 0
    assert not (damaged.parent / "report.json.statistics").exists()


def test_pairs_are_unpacked_from_their_blocks(damaged):
    columns = _validate(damaged)["splits"]["dataset"]["pairs/train"]["columns"]
    assert columns["query"]["values"] == columns["candidate"]["values"] == 11130
    assert columns["query"]["dtypes"] == {"string": columns["query"]["dtypes"]["string"]}
    assert columns["query"]["not_single"] == columns["query"]["unknown"] == 0


def test_a_dataset_compared_with_itself_has_no_drift(tiny_dataset, damaged):
    report = _validate(damaged, f"--against={tiny_dataset.folder}", "--max_psi=0", "--max_ks=0", "--max_mean_shift=0",
                       "--max_std_shift=0", "--max_oov_shift=0", "--max_label_rate_shift=0", "--max_missing_shift=0",
                       "--max_vocabulary_changes=0", "--max_new_columns=0")
    assert report["violations"] == []
    assert {check["value"] for check in report["checks"]
            if check["threshold"] not in ("max_oov_share", "max_missing_share")} == {0}


def test_drift_against_another_dataset(tiny_dataset, drifted):
    report = _validate(drifted, f"--against={tiny_dataset.folder}", "--max_vocabulary_changes=0",
                       "--max_mean_shift=0.2", "--max_psi=0.2")
    assert {violation["threshold"] for violation in report["violations"]} == {
        "max_vocabulary_changes", "max_mean_shift", "max_psi"}
    changes = _worst(report, "max_vocabulary_changes")
    assert changes["value"] == 5
    assert changes["detail"] == "country, item, surface, topic, user"
    own, other = (report["splits"][name][TRAIN]["columns"]["quality"] for name in ("dataset", "reference"))
    assert _worst(report, "max_mean_shift", TRAIN, "quality")["value"] == pytest.approx(
        abs(own["mean"] - other["mean"]) / other["std"])


def test_without_a_reference_splits_are_compared_with_training(damaged):
    report = _validate(damaged, "--max_label_rate_shift=0.01")
    assert [(violation["split"], violation["column"]) for violation in report["violations"]] == [
        ("impressions/validation", "label")]
    columns = {split: report["splits"]["dataset"][split]["columns"] for split in (TRAIN, "impressions/validation")}
    assert report["violations"][0]["value"] == pytest.approx(
        columns["impressions/validation"]["label"]["mean"] - columns[TRAIN]["label"]["mean"])


def _without_label(number, example):
    if number == 3:
        del example.features.feature["label"]
    return example


def _wrong_type(number, example):
    del example.features.feature["dwell"].float_list.value[:]
    example.features.feature["dwell"].int64_list.value.append(1)
    return example


def _two_values(number, example):
    if number == 0:
        example.features.feature["topic"].int64_list.value.append(1)
    return example


def _extra(number, example):
    example.features.feature["extra"].float_list.value.append(1)
    return example


def _unknown_row(number, example):
    if number == 0:
        example.features.feature["country"].int64_list.value[0] = 10**9
    return example


DAMAGES = {
    "missing column": (_without_label, "max_missing_columns", 1, "label"),
    "type": (_wrong_type, "max_type_differences", 1, "dwell (float32/int64, expected float32)"),
    "number of values": (_two_values, "max_type_differences", 1,
                         "topic (int64, 1 records without exactly one value, expected int64)"),
    "row outside the vocabulary": (_unknown_row, "max_unknown_rows", 1, ""),
    "malformed": (lambda number, example: b"no example" if number in (2, 7) else example, "max_malformed_records", 2,
                  ""),
    "new column": (_extra, "max_new_columns", 1, "extra"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_each_damage_is_found_in_its_split(damage, damaged):
    change, threshold, value, detail = DAMAGES[damage]
    _rewrite(_shard(damaged), change)
    report = _validate(damaged, "--max_new_columns=0")
    [violation] = [check for check in report["violations"] if check["threshold"] == threshold]
    assert (violation["value"], violation["split"], violation["detail"]) == (value, TRAIN, detail)


def test_damaged_files_and_missing_records(damaged):
    path = _shard(damaged)
    path.write_bytes(path.read_bytes()[:-7])
    _shard(damaged, "impressions/test").unlink()
    _rewrite(_shard(damaged, "pairs/train"), lambda number, example: b"" if number == 0 else example)
    report = _validate(damaged)
    files = {check["split"]: check["detail"] for check in report["violations"]
             if check["threshold"] == "max_damaged_files"}
    assert files.keys() == {TRAIN, "impressions/test"}
    assert "ends within a record that begins at byte" in files[TRAIN]
    missing = {check["split"] for check in report["violations"] if check["threshold"] == "max_miscounted_examples"}
    assert missing == {TRAIN, "impressions/test", "pairs/train"}
    assert _worst(report, "max_missing_columns", "pairs/train")["detail"] == "query, candidate"


def test_a_vocabulary_file_of_another_dataset_is_found(damaged, drifted):
    shutil.copy(drifted / "vocabulary" / "item.parquet", damaged / "vocabulary" / "item.parquet")
    (damaged / "vocabulary" / "topic.parquet").write_bytes(b"damaged")
    report = _validate(damaged)
    assert [violation["detail"] for violation in report["violations"]] == ["item, topic"]


def test_a_configuration_can_replace_the_schema(damaged, tmp_path):
    tree = planted_tree()
    tree["schema"]["features"] = [feature | ({"name": "mood"} if feature["name"] == "dwell" else {})
                                  for feature in tree["schema"]["features"]]
    (tmp_path / "other.yaml").write_text(yaml.safe_dump(tree))
    report = _validate(damaged, f"--schema={tmp_path / 'other.yaml'}", "--max_new_columns=0")
    found = {(check["threshold"], check["detail"]) for check in report["violations"]}
    assert found == {("max_missing_columns", "mood"), ("max_new_columns", "dwell")}


def _main(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "beam_pipelines.validate_examples", *arguments], capture_output=True,
                          text=True, check=False, cwd=Path(validate_examples.__file__).parents[1])


def test_exit_codes_table_and_messages(tiny_dataset, tmp_path):
    report = f"--report={tmp_path / 'report.json'}"
    passed = _main(f"--dataset={tiny_dataset.folder}", report)
    assert passed.returncode == 0
    assert "all checks passed" in passed.stdout
    violated = _main(f"--dataset={tiny_dataset.folder}", report, "--max_oov_share=0.02")
    assert violated.returncode == 3
    assert "✗ max_oov_share: 0.03272 > 0.02 in impressions/test item" in violated.stdout
    wrong = _main(f"--dataset={tmp_path}", report)
    assert wrong.returncode == 2
    assert wrong.stderr.startswith(f"error: '{tmp_path}' has no finished dataset")
    assert wrong.stderr.count("\n") == 1


@pytest.mark.parametrize(("argv", "message"), [
    (["--report=x"], "--dataset is missing"),
    (["--dataset=x"], "--report is missing"),
    (["--dataset=x", "--report=y", "--max_pis=1"], "unknown option --max_pis"),
])
def test_command_line_mistakes(argv, message):
    with pytest.raises(UserError, match=message):
        validate(pipeline_options(argv))


def test_another_kind_of_manifest_is_refused(tiny_dataset, damaged):
    info = json.loads((damaged / "dataset_info.json").read_text())
    rewrite(damaged / "dataset_info.json", info | {"kind": "embeddings"})
    with pytest.raises(UserError, match="describes 'embeddings', expected dataset or pairs or impressions"):
        _validate(damaged)


def test_statistics_do_not_depend_on_chunks(damaged, monkeypatch):
    first = _validate(damaged)
    monkeypatch.setattr(record_measuring, "CHUNK_RECORDS", 7)
    assert _validate(damaged) == first


@pytest.fixture(scope="module", params=["examples", "columnar"])
def rich(request, planted_logs, tmp_path_factory) -> Path:
    """A compressed dataset with relations, weights, a second label and histories, in both formats."""
    folder = tmp_path_factory.mktemp("rich")
    for name in ("items", "users"):
        shutil.copy(planted_logs / f"{name}.parquet", folder)
    engagements, impressions = (pq.read_table(planted_logs / f"{name}.parquet") for name in (
        "engagements", "impressions"))
    surface = pa.array(np.where(np.arange(engagements.num_rows) % 3, "view", "save"))
    pq.write_table(engagements.append_column("surface", surface), folder / "engagements.parquet")
    pq.write_table(impressions.append_column("liked", impressions["clicked"]), folder / "impressions.parquet")
    tree = planted_tree()
    tree["schema"] |= {"relation": "surface", "labels": ["liked"], "history": {"length": 4}}
    tree["dataset"] |= {"relations": {"view": 0.25, "save": 1.0}, "impressions_format": request.param,
                        "compression": "gzip"}
    build(Config.model_validate(tree), folder, folder / "dataset")
    return folder / "dataset"


def test_all_options_of_the_jobs_are_supported(rich, tiny_dataset):
    report = _validate(rich, "--max_new_columns=0")
    assert report["violations"] == []
    found = report["splits"]["dataset"]
    assert found[TRAIN]["examples"] == 1908
    columns, plain = found[TRAIN]["columns"], _validate_plain(tiny_dataset, rich.parent)
    assert columns["liked"]["mean"] == columns["label"]["mean"] == plain[TRAIN]["columns"]["label"]["mean"]
    assert columns["item"]["oov"] == plain[TRAIN]["columns"]["item"]["oov"] > 0
    assert columns["quality"]["missing"] == plain[TRAIN]["columns"]["quality"]["missing"] > 0
    assert 1908 < columns["history"]["values"] <= 4 * 1908
    assert {check["column"] for check in report["checks"] if check["threshold"] == "max_label_rate_shift"} == {
        "label", "liked"}
    weight = found["pairs/train"]["columns"]["weight"]
    assert weight["values"] == 11164
    assert weight["mean"] == pytest.approx(0.5, abs=0.02)


def _validate_plain(dataset, folder: Path) -> dict:
    report = folder / "plain.json"
    validate(pipeline_options([f"--dataset={dataset.folder}", f"--report={report}"]))
    return json.loads(report.read_text())["splits"]["dataset"]


def test_help_names_inputs_and_limits(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["validate_examples", "--help"])
    assert validate_examples.main() == 0
    text = capsys.readouterr().out
    for option in ("--dataset", "--against", "--report", "--max_oov_share", "--max_psi"):
        assert option in text
