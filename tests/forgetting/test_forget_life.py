"""Forgetting ids in every artifact of a life: survivors keep their bits, and the ids are nowhere."""

import json
import os
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from life import Life, write_ids
from tensorflow.core.framework.tensor_pb2 import TensorProto

from tfrs_pretrain.artifact_names import DATASET_INFO
from tfrs_pretrain.artifacts import check_saved_model, read_manifest
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.data.impressions import evaluation_batches
from tfrs_pretrain.data.pairs import pair_blocks
from tfrs_pretrain.embeddings.artifact import Embeddings
from tfrs_pretrain.file_digests import check_files
from tfrs_pretrain.forgetting.certificate import certificate
from tfrs_pretrain.forgetting.discovery import find_artifacts
from tfrs_pretrain.forgetting.run import check, forget
from tfrs_pretrain.hashing import hash_ids
from tfrs_pretrain.json_documents import json_digest
from tfrs_pretrain.ranking.model.artifact import load_ranker
from tfrs_pretrain.retrieval.artifact import ItemIndex, search
from tfrs_pretrain.serving.protocol.tfrecords import read_prediction_logs
from tfrs_pretrain.serving.session import LoadedModel

pytestmark = pytest.mark.slow
PAIR_COLUMN = {"user": "query", "item": "candidate"}


@pytest.fixture(scope="module", params=["user", "item"])
def case(request, built_life, tmp_path_factory):
    """The life before and after two ids of a space were forgotten: one popular id, one rare one."""
    folder = tmp_path_factory.mktemp("forgotten")
    shutil.copytree(built_life.folder, folder / "life", copy_function=os.link)
    life, vocabulary = Life(folder / "life"), built_life.vocabulary(request.param)
    ids = vocabulary.ids.take(pa.array([2, len(vocabulary.ids) - 2]))
    file = write_ids(folder / "ids.parquet", ids)
    result = forget(request.param, file, [life.logs, *life.artifacts])
    return Case(request.param, ids, file, vocabulary.lookup(ids), built_life, life, result)


class Case:
    def __init__(self, space, ids, file, rows, before, after, result):
        self.space, self.ids, self.file, self.rows = space, ids, file, rows
        self.before, self.after, self.result = before, after, result

    @property
    def forgotten(self):
        return set(self.ids.to_pylist())


def test_every_artifact_is_whole_and_fits_the_others(case):
    dataset = Dataset.open(case.after.dataset)
    for artifact in find_artifacts(case.after.artifacts).artifacts:
        check_files(artifact.folder, artifact.manifest)
    embeddings = Embeddings.open(case.after.embeddings)
    embeddings.check_compatible(dataset)
    load_ranker(case.after.ranker, dataset)
    check_saved_model(case.after.version)
    exported = read_manifest(case.after.version / "assets.extra", "saved_model")
    assert exported["ranker_digest"] == json_digest(read_manifest(case.after.ranker, "ranker"))
    assert exported["dataset_digest"] == json_digest(dataset.info)
    assert ItemIndex.open(case.after.index).vocabulary().digest == dataset.digests["item"]
    assert read_manifest(case.after.ranker, "ranker")["embeddings"]["tables"] == embeddings.manifest["tables"]


def test_rows_are_free_and_zero_and_survivors_keep_theirs(case):
    before, after = (life.vocabulary(case.space) for life in (case.before, case.after))
    places = case.rows - before.oov_rows
    expected = [None if place in places else value for place, value in enumerate(before.ids.to_pylist())]
    assert after.ids.to_pylist() == expected
    assert [after.counts[place] for place in places] == [0, 0]
    assert after.lookup(case.ids).tolist() == _shared_rows(case.ids, before.oov_rows).tolist()
    for name in ("embeddings/{}/rows.npy", "ranker/tables/{}.npy"):
        old, new = (np.load(life.folder / name.format(case.space)) for life in (case.before, case.after))
        assert not new[case.rows].any()
        kept = np.setdiff1d(np.arange(len(old)), case.rows)
        assert np.array_equal(new[kept], old[kept])
        other = "item" if case.space == "user" else "user"
        assert (case.after.folder / name.format(other)).read_bytes() == (
            case.before.folder / name.format(other)).read_bytes()


def _shared_rows(ids, oov_rows):
    return (hash_ids(ids) % np.uint64(oov_rows)).astype(np.int64)


def _pairs(dataset, split):
    blocks = list(pair_blocks(dataset.files(split)).as_numpy_iterator())
    return [pair for block in blocks for pair in zip(block["query"].tolist(), block["candidate"].tolist(), strict=True)]


def test_pairs_and_their_probabilities(case):
    before, after = (Dataset.open(life.dataset) for life in (case.before, case.after))
    place = ("user", "item").index(case.space)
    for split in ("pairs/train", "pairs/heldout"):
        expected = [pair for pair in _pairs(before, split) if pair[place] not in case.rows]
        assert _pairs(after, split) == expected
        assert after.num_examples(split) == len(expected) < before.num_examples(split)
    counts = np.bincount([item for _, item in _pairs(after, "pairs/train")], minlength=len(after.candidate_probability))
    assert np.array_equal(after.candidate_probability, counts / counts.sum())


def _impressions(dataset, split):
    [batch] = evaluation_batches(dataset, split, batch_size=10**6).as_numpy_iterator()
    ids = {"user": batch["user_id"].tolist(), "item": [value.decode() for value in batch["item_id"]]}
    return batch, ids


@pytest.mark.parametrize("split", ["impressions/train", "impressions/validation", "impressions/test"])
def test_impressions_and_histories(case, split):
    before, after = (Dataset.open(life.dataset) for life in (case.before, case.after))
    (old, ids), (new, _) = _impressions(before, split), _impressions(after, split)
    kept = [place for place, value in enumerate(ids[case.space]) if value not in case.forgotten]
    histories = [[row for row in history if row >= 0 and not (case.space == "item" and row in case.rows)]
                 for history in old["history"][kept].tolist()]
    assert [[row for row in history if row >= 0] for history in new["history"].tolist()] == histories
    for name in old.keys() - {"history"}:
        assert np.array_equal(new[name], old[name][kept], equal_nan=old[name].dtype == np.float32)
    described = after.info["splits"][split]
    assert described["examples"] == len(kept)
    assert described["label_rate"] == pytest.approx(old["label"][kept].mean())
    assert described["missing"]["history"] == histories.count([])


def test_predictions_of_survivors_are_the_same(case):
    for split in ("validation", "test"):
        old, new = (pq.read_table(life.ranker / f"predictions/{split}.parquet") for life in (case.before, case.after))
        kept = [value not in case.forgotten for value in old[f"{case.space}_id"].to_pylist()]
        assert new.to_pylist() == old.filter(pa.array(kept)).to_pylist()


def test_served_answers(case):
    """Golden requests of survivors are answered with the same bits; a forgotten id like an unknown one."""
    signature, name = f"{case.space}_embedding", f"{case.space}_id"
    vocabulary = case.before.vocabulary(case.space)
    survivors = [value for value in vocabulary.ids.to_pylist() if value not in case.forgotten]
    dtype = np.int64 if case.space == "user" else object
    shared = np.load(case.before.ranker / f"tables/{case.space}.npy")[_shared_rows(case.ids, vocabulary.oov_rows)]
    with LoadedModel(case.before.version) as before, LoadedModel(case.after.version) as after:
        def answers(ids):
            return [model.run(signature, {name: np.array(ids, dtype)})["embedding"] for model in (before, after)]

        old, new = answers(survivors)
        assert np.array_equal(old, new)
        old, new = answers(case.ids.to_pylist())
        assert np.array_equal(new, shared)
        assert not np.array_equal(old, new)
        logs = read_prediction_logs(case.after.version / "assets.extra/golden_requests.tfrecord")
        requests = [log.predict_log.request for log in logs if log.HasField("predict_log")]
        assert len(requests) > 5
        for request in requests:
            inputs = {key: tf.make_ndarray(TensorProto.FromString(value.SerializeToString()))
                      for key, value in request.inputs.items()}
            old, new = (model.run(request.model_spec.signature_name, inputs) for model in (before, after))
            assert all(np.array_equal(old[key], new[key]) for key in old)


def test_golden_requests_match_the_server(case):
    """The remaining expected answers are those that the version gives."""
    golden = json.loads((case.after.version / "assets.extra/golden_requests.json").read_text())
    assert len(golden["instances"]) == len(golden["outputs"]["score"]) > 0
    with LoadedModel(case.after.version) as model:
        columns = {name: np.array([each[name] for each in golden["instances"]], object if isinstance(
            value, str) or (isinstance(value, list) and isinstance(value[0], str)) else np.float32 if isinstance(
                value, float) else np.int64) for name, value in golden["instances"][0].items()}
        answers = model.run("serving_default", columns)["score"]
    assert np.allclose(answers, golden["outputs"]["score"], atol=1e-5)


def test_index(case):
    before, after = (ItemIndex.open(life.index) for life in (case.before, case.after))
    queries = np.load(case.before.embeddings / "user/rows.npy")[5:9]
    for name in ("exact", "approximate"):
        (old, labels), (new, found) = (search(index.load(name), queries, 60) for index in (before, after))
        kept = ~np.isin(labels, case.rows) if case.space == "item" else np.ones(labels.shape, bool)
        assert np.array_equal(found, labels[kept].reshape(len(queries), -1))
        assert np.array_equal(new, old[kept].reshape(len(queries), -1))


def test_proof_and_certificate(case):
    assert case.result.leaks == []
    text = json.dumps(certificate(case.result), ensure_ascii=False)
    assert not [value for value in map(str, case.forgotten) if f'"{value}"' in text or f" {value}" in text]
    content = json.loads(text)
    assert content["absent"] and content["ids"] == 2 and content["ids_without_row"] == 0
    kinds = {entry["kind"]: entry for entry in content["artifacts"]}
    assert kinds["dataset"]["removed"]["rows"] == 2
    for kind, entry in kinds.items():
        assert (entry["digest"]["before"] != entry["digest"]["after"]), kind
    assert kinds["embeddings"]["files"][f"{case.space}/rows.npy"]["before"] != (
        kinds["embeddings"]["files"][f"{case.space}/rows.npy"]["after"])


def test_a_second_run_finds_nothing_to_do(case):
    again = forget(case.space, case.file, [case.after.logs, *case.after.artifacts])
    assert [change for change in again.changes if change.removed or change.before != change.after] == []
    assert again.without_row == 2


@pytest.mark.parametrize("leak", [
    "logs/engagements.parquet", "dataset/vocabulary/SPACE.parquet", "dataset/vocabulary/SPACE.lookup.arrow",
    "dataset/pairs/train-00000-of-00002.tfrecord.gz",
    "dataset/impressions/train-00001-of-00002.tfrecord.gz", "dataset/golden.parquet",
    "embeddings/SPACE/rows.npy", "embeddings/SPACE/vocabulary.parquet", "index/exact.faiss", "index/approximate.faiss",
    "index/vocabulary.parquet", "ranker/tables/SPACE.npy", "ranker/predictions/test.parquet",
    "models/planted_ranker/1/assets/SPACE.ids", "models/planted_ranker/1/variables/variables.data-00000-of-00001",
    "models/planted_ranker/1/assets.extra/served_state/vocabulary/SPACE.parquet",
    "models/planted_ranker/1/assets.extra/golden_requests.json",
    "models/planted_ranker/1/assets.extra/golden_requests.tfrecord",
    "models/planted_ranker/1/assets.extra/tf_serving_warmup_requests", "dataset/rejected/impressions-00000.parquet"])
def test_each_leak_is_found(case, leak, tmp_path):
    """A file of the life before the run, put back, is named."""
    name = leak.replace("SPACE", case.space)
    shutil.copytree(case.after.folder, tmp_path / "life", copy_function=os.link)
    life = Life(tmp_path / "life")
    old, new = case.before.folder / name, life.folder / name
    if old.read_bytes() == new.read_bytes():
        pytest.skip(f"{name} does not contain these ids")
    new.unlink()
    shutil.copy(old, new)
    if "variables.data" in name:
        shutil.copy(old.with_name("variables.index"), new.with_name("variables.index.old"))
        new.with_name("variables.index.old").replace(new.with_name("variables.index"))
    leaks = check(case.space, case.file, [life.logs, *life.artifacts])[2]
    named = {found.path.relative_to(life.folder.resolve()).as_posix() for found in leaks}
    assert named == {name} or named == {name.rpartition("/")[0]}, leaks


def test_a_copy_among_other_files_is_found(case, tmp_path):
    """A note beside the artifacts is searched as bytes: long ids as text and numbers, short ones not."""
    shutil.copytree(case.after.folder, tmp_path / "life", copy_function=os.link)
    life = Life(tmp_path / "life")
    values = case.ids.to_pylist()
    long = [value for value in values if len(str(value).encode()) >= 10 or case.space == "item"]
    for number, value in enumerate(long):
        (life.ranker.parent / "notes").mkdir(exist_ok=True)
        (life.ranker.parent / "notes" / f"{number}.txt").write_text(f"about {value}: nothing", encoding="utf-8")
    found = check(case.space, case.file, [life.logs, *life.artifacts, *([life.folder / "notes"] if long else [])])[2]
    assert len(found) == len(long)


def test_an_artifact_that_was_not_named_follows_later(built_life, tmp_path):
    """A ranker that an earlier run did not see is changed by a run with its dataset, also if that one is done."""
    shutil.copytree(built_life.folder, tmp_path / "life", copy_function=os.link)
    life = Life(tmp_path / "life")
    ids = built_life.vocabulary("user").ids.slice(5, 1)
    file = write_ids(tmp_path / "ids.parquet", ids)
    forget("user", file, [life.dataset])
    second = write_ids(tmp_path / "second.parquet", built_life.vocabulary("user").ids.slice(9, 1))
    forget("user", second, [life.dataset, life.embeddings, life.ranker])
    rows = built_life.vocabulary("user").oov_rows + np.array([5, 9])
    assert not np.load(life.ranker / "tables/user.npy")[rows].any()
    assert read_manifest(life.ranker, "ranker")["vocabularies"]["user"] == Dataset.open(life.dataset).digests["user"]
    assert Embeddings.open(life.embeddings).vocabulary("user").digest == Dataset.open(life.dataset).digests["user"]
    assert read_manifest(life.dataset, "dataset", name=DATASET_INFO)["forgotten"][0]["removed"]["rows"] == 1
    assert check("user", file, [life.dataset, life.embeddings, life.ranker])[2] == []


def test_a_split_of_which_every_impression_is_forgotten_is_empty(built_life, tmp_path):
    shutil.copytree(built_life.dataset, tmp_path / "dataset", copy_function=os.link)
    dataset = Dataset.open(tmp_path / "dataset")
    batches = evaluation_batches(dataset, "impressions/validation", batch_size=512, columns=["user_id"])
    users = np.unique(np.concatenate([batch["user_id"] for batch in batches.as_numpy_iterator()]))
    forget("user", write_ids(tmp_path / "ids.parquet", pa.array(users)), [tmp_path / "dataset"])
    split = Dataset.open(tmp_path / "dataset").info["splits"]["impressions/validation"]
    assert (split["examples"], split["missing"]["history"]) == (0, 0)


@pytest.mark.parametrize("order", [("changed", "copy"), ("copy", "changed")])
def test_a_copy_that_an_earlier_run_did_not_change_keeps_its_own_digests(built_life, tmp_path, order):
    """The copy has the digest that the changed dataset had before, and must not get the digest that it has now."""
    for name in order:
        shutil.copytree(built_life.dataset, tmp_path / name, copy_function=os.link)
    user, item = (built_life.vocabulary(space).ids.slice(5, 1) for space in ("user", "item"))
    forget("user", write_ids(tmp_path / "user.parquet", user), [tmp_path / "changed"])
    forget("item", write_ids(tmp_path / "item.parquet", item), [tmp_path / name for name in order])
    users = {name: Dataset.open(tmp_path / name).vocabulary("user") for name in order}
    has_id = {name: user[0].as_py() in vocabulary.known_ids.to_pylist() for name, vocabulary in users.items()}
    assert has_id == {"changed": False, "copy": True}


def test_an_id_that_has_come_back_stays(built_life, tmp_path):
    """Its vocabulary equals that of an earlier dataset from which the id was removed."""
    shutil.copytree(built_life.folder, tmp_path / "back", copy_function=os.link)
    shutil.copytree(built_life.dataset, tmp_path / "earlier", copy_function=os.link)
    life, users = Life(tmp_path / "back"), built_life.vocabulary("user")
    file = write_ids(tmp_path / "ids.parquet", users.ids.slice(5, 1))
    forget("user", file, [tmp_path / "earlier"])
    other = write_ids(tmp_path / "other.parquet", users.ids.slice(9, 1))
    result = forget("user", other, [tmp_path / "earlier", *life.artifacts])
    assert result.leaks == []
    assert np.flatnonzero(life.vocabulary("user").is_free).tolist() == [9]
    assert np.flatnonzero(Dataset.open(tmp_path / "earlier").vocabulary("user").is_free).tolist() == [5, 9]
    rows = users.oov_rows + np.array([5, 9])
    for name in ("embeddings/user/rows.npy", "ranker/tables/user.npy"):
        assert np.load(life.folder / name)[rows].any(axis=1).tolist() == [True, False]
    with LoadedModel(life.version) as model:
        served, expected = model.run("user_embedding", {"user_id": users.ids.slice(5, 1).to_numpy()}), np.load(
            built_life.ranker / "tables/user.npy")[rows[:1]]
        assert np.array_equal(served["embedding"], expected)
