"""Folders that Vertex AI names in the environment."""

from pathlib import Path

import pytest

from tfrs_pretrain.training.checkpoint import checkpoint_folder
from tfrs_pretrain.vertex_environment import vertex_folder


@pytest.mark.parametrize(("value", "expected"), [
    ("gs://bucket/job/model/", "/gcs/bucket/job/model"), ("/local/model", "/local/model"), ("", None), (None, None)])
def test_a_bucket_is_used_through_its_mount(value, expected):
    environment = {} if value is None else {"AIP_MODEL_DIR": value}
    assert vertex_folder("AIP_MODEL_DIR", environment) == (Path(expected) if expected else None)


def test_checkpoints_of_all_stages_and_rounds_are_apart(monkeypatch, tmp_path):
    outputs = [tmp_path / name for name in ("w1/embeddings", "w2/embeddings", "w2/ranker")]
    assert [checkpoint_folder(output) for output in outputs] == [
        output.with_name(f"{output.name}.checkpoints") for output in outputs]
    monkeypatch.setenv("AIP_CHECKPOINT_DIR", "gs://bucket/job/checkpoints")
    folders = [checkpoint_folder(output) for output in outputs]
    assert len(set(folders)) == 3
    assert {folder.parent for folder in folders} == {Path("/gcs/bucket/job/checkpoints")}
    monkeypatch.chdir(tmp_path)
    assert checkpoint_folder(Path("w1/embeddings")) == folders[0]
