"""Command lines to jobs."""

import json

import pytest
import yaml
from bucket_file_system import BucketFileSystem
from planted import planted_config

from beam_pipelines.build_dataset import build
from beam_pipelines.jobs.options import ExtendOptions, SplitOptions, VocabularyOptions
from beam_pipelines.launching.command_line import parse_job
from tfrs_pretrain.config import Config
from tfrs_pretrain.errors import UserError

PATHS = ["--raw=logs", "--output=runs/out/"]


@pytest.fixture
def config(tmp_path) -> str:
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(planted_config()))
    return f"--config={tmp_path / 'config.yaml'}"


def test_each_option_has_its_place_in_the_job(config):
    job, options = parse_job([config, *PATHS, "--extend=e", "--read_batch_rows=5", "--buckets=3", "--overwrite",
                              "--set=dataset.shards=7", "--direct_num_workers=2"], ExtendOptions)
    assert (job.raw, job.folder, job.max_batch_rows, job.buckets, job.vocabulary, job.extend) == (
        "logs", "runs/out", 5, 3, None, "e")
    assert job.config.dataset.shards == 7
    assert (options.get_all_options()["overwrite"], options.get_all_options()["direct_num_workers"]) == (True, 2)


@pytest.mark.parametrize("buckets", [0, -3])
def test_less_than_one_bucket_is_refused(buckets, config):
    with pytest.raises(UserError, match=f"--buckets {buckets}: expected at least 1, or no --buckets to choose it"):
        parse_job([config, *PATHS, f"--buckets={buckets}"], ExtendOptions)
    with pytest.raises(UserError, match=f"--buckets {buckets}: expected"):
        build(Config.model_validate(planted_config()), "raw", "out", [f"--buckets={buckets}"])


@pytest.mark.parametrize(("text", "splits"), [
    ("test,train", ("train", "test")), ("validation", ("validation",)), (None, ("train", "validation", "test"))])
def test_splits_have_a_fixed_order(text, splits, config):
    chosen = [f"--splits={text}"] if text else []
    assert parse_job([config, *PATHS, "--vocabulary=v", *chosen], VocabularyOptions, SplitOptions)[0].splits == splits


@pytest.mark.parametrize("text", ["all", "train,", "", "train test"])
def test_unknown_splits_are_refused(text, config):
    with pytest.raises(UserError, match=r"--splits '.*': expected one or more of train,validation,test"):
        parse_job([config, *PATHS, "--vocabulary=v", f"--splits={text}"], VocabularyOptions, SplitOptions)


@pytest.mark.parametrize("missing", ["config", "raw", "output"])
def test_a_missing_option_is_named(missing, config):
    argv = [option for option in [config, *PATHS] if not option.startswith(f"--{missing}")]
    with pytest.raises(UserError, match=f"^--{missing} is missing: run the job with --help"):
        parse_job(argv)


@pytest.mark.parametrize(("option", "supported"), [
    ("--extend=x", VocabularyOptions), ("--vocabulary=x", ExtendOptions), ("--splits=test", ExtendOptions)])
def test_options_of_other_jobs_are_refused(option, supported, config):
    name = option.partition("=")[0]
    with pytest.raises(UserError, match=f"^{name} is not an option of this job"):
        parse_job([config, *PATHS, option], supported)


def test_without_a_configuration_that_of_the_vocabularies_is_used(tmp_path):
    resolved = Config.model_validate(planted_config()).resolved()
    (tmp_path / "dataset_info.json").write_text(json.dumps({"kind": "vocabulary", "config": resolved}))
    job, _ = parse_job([*PATHS, f"--vocabulary={tmp_path}", "--set=windows.test.end=99"], VocabularyOptions)
    resolved["windows"]["test"]["end"] = 99
    assert job.config.resolved() == resolved


def test_a_configuration_may_be_on_any_file_system(tmp_path, monkeypatch):
    objects = BucketFileSystem.create_bucket(tmp_path, monkeypatch)
    (objects / "config.yaml").write_text(yaml.safe_dump(planted_config()))
    job, _ = parse_job(["--config=bucket://config.yaml", *PATHS])
    assert job.config == Config.model_validate(planted_config())


@pytest.mark.parametrize(("content", "message"), [
    ("a: [", r"cannot be read \(.*\): pass a YAML file"), ("- 1", "must be a mapping of sections, not list"),
    ("seed: 2024-02-30", r"'bucket://config.yaml' cannot be read \('2024-02-30' is not a valid timestamp"),
    ("seed: 1\nseed: 2", r"'bucket://config.yaml' cannot be read \(key 'seed' occurs twice"),
    ("dataset: {shards: 1}", r"configuration 'bucket://config.yaml': name: Field required")])
def test_an_unusable_configuration_is_refused(content, message, tmp_path, monkeypatch):
    objects = BucketFileSystem.create_bucket(tmp_path, monkeypatch)
    (objects / "config.yaml").write_text(content)
    with pytest.raises(UserError, match=message):
        parse_job(["--config=bucket://config.yaml", *PATHS])
    with pytest.raises(UserError, match="cannot be read"):
        parse_job(["--config=nowhere://config.yaml", *PATHS])
