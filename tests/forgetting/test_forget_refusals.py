"""What ``forget`` refuses, in one line and without any change; checkpoints; and kills at every file operation."""

import os
import shutil
import sys

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from life import Life, write_ids
from typer.testing import CliRunner

from tfrs_pretrain.artifact_names import DATASET_INFO
from tfrs_pretrain.artifacts import file_digest, read_manifest, write_manifest
from tfrs_pretrain.cli import app
from tfrs_pretrain.embeddings import touched_rows
from tfrs_pretrain.embeddings.optimizers import make_optimizer
from tfrs_pretrain.embeddings.tables import EmbeddingTable
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.forgetting.run import check, forget
from tfrs_pretrain.json_documents import parse_document
from tfrs_pretrain.locks import folder_lock
from tfrs_pretrain.training.checkpoint import Checkpoints
from tfrs_pretrain.vocabulary import Vocabulary


@pytest.fixture
def users(built_life, tmp_path):
    """A file with two users."""
    return write_ids(tmp_path / "users.parquet", built_life.vocabulary("user").ids.slice(4, 2))


def files(folder):
    return {path.relative_to(folder): (path.stat().st_ino, path.read_bytes()) for path in sorted(folder.rglob("*"))
            if path.is_file()}


def refused(folders, ids, words, folder, space="user"):
    before = files(folder)
    with pytest.raises(UserError) as error:
        forget(space, ids, folders)
    assert words in str(error.value)
    assert "\n" not in str(error.value)
    assert files(folder) == before


def test_an_unknown_kind_is_named(life, users):
    (life.folder / "new").mkdir()
    write_manifest(life.folder / "new", "novelty", {})
    refused([life.folder], users, "is of kind 'novelty', from which this version cannot remove ids", life.folder)


def test_a_ranker_needs_its_dataset(life, users):
    refused([life.ranker, life.logs], users, "was made with a vocabulary 'user'", life.folder)


def test_trained_rows_of_a_continued_run(life, users, built_life):
    """Embeddings that started from earlier ones say which rows were trained."""
    vocabulary = built_life.vocabulary("user")
    np.save(life.embeddings / "user/trained.npy", np.ones(vocabulary.num_rows, bool))
    manifest = read_manifest(life.embeddings, "embeddings")
    (life.embeddings / "manifest.json").unlink()
    write_manifest(life.embeddings, "embeddings", manifest)
    forget("user", users, [life.embeddings])
    expected = np.ones(vocabulary.num_rows, bool)
    expected[vocabulary.oov_rows + np.array([4, 5])] = False
    assert np.array_equal(np.load(life.embeddings / "user/trained.npy"), expected)
    (life.embeddings / "user/trained.npy").unlink()
    np.save(life.embeddings / "user/trained.npy", np.ones(vocabulary.num_rows, bool))
    [leak] = check("user", users, [life.embeddings])[2]
    assert leak.path.name == "trained.npy"


def test_a_version_alone(life, users, built_life):
    """It has the vocabularies that it serves; its manifest names the changed one."""
    result = forget("user", users, [life.version])
    assert result.leaks == []
    manifest = read_manifest(life.version / "assets.extra", "saved_model")
    expected = built_life.vocabulary("user").with_freed(built_life.vocabulary("user").oov_rows + np.array([4, 5]))
    assert manifest["vocabularies"]["user"] == manifest["tables"]["user"]["digest"] == expected.digest


def test_a_missing_or_empty_folder(life, users, tmp_path):
    refused([life.dataset, tmp_path / "absent"], users, "does not exist", life.folder)
    (tmp_path / "empty").mkdir()
    refused([tmp_path / "empty"], users, "contains no file", life.folder)


def test_a_folder_with_nothing_but_leftovers(life, users, tmp_path):
    """A killed export left them; they contain ids."""
    leftover = tmp_path / "models" / "shop" / ".version.unfinished-02dc61be" / "assets"
    leftover.mkdir(parents=True)
    (leftover / "user.ids").write_bytes(users.read_bytes())
    assert forget("user", users, [life.dataset, tmp_path / "models"]).leaks == []
    assert not leftover.parent.exists()


def test_a_damaged_artifact_is_not_sealed_again(life, users):
    path = life.ranker / "tables/user.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.unlink()
    path.write_bytes(content)
    refused([life.dataset, life.ranker], users, "the file changed after it was written", life.folder)


@pytest.mark.parametrize(("folder", "named"), [
    ("embeddings.checkpoints", ["dataset", "embeddings"]), ("dataset", ["dataset"]), ("next.checkpoints", [""])])
def test_a_folder_in_use_is_refused(folder, named, life, users):
    """Also a training run below a named folder that has no checkpoint yet."""
    with folder_lock(life.folder / folder, wait=False):
        refused([life.folder / name for name in named], users, "is in use by another process", life.folder)


def test_a_feature_of_the_ids_is_refused(life, tmp_path):
    info = read_manifest(life.dataset, "dataset", name=DATASET_INFO)
    info["config"]["schema"]["features"][0] |= {"column": "member"}
    (life.dataset / DATASET_INFO).unlink()
    write_manifest(life.dataset, "dataset", info, name=DATASET_INFO)
    ids = write_ids(tmp_path / "ids.parquet", pa.array([5], pa.int64()))
    refused([life.dataset], ids, "contains the ids of 'user' (column 'member')", life.dataset)


def test_the_command_writes_a_certificate_and_its_exit_code_tells(life, users, tmp_path):
    folders = [str(life.dataset), str(life.embeddings)]
    options = ["forget", "--space", "user", "--ids", str(users), "--certificate", str(tmp_path / "proof.json")]
    run = CliRunner()
    assert run.invoke(app, [*options, "--check", *folders]).exit_code == 1
    assert not (tmp_path / "proof.json").exists()
    assert run.invoke(app, [*options, *folders]).exit_code == 0
    proof = parse_document((tmp_path / "proof.json").read_bytes(), tmp_path / "proof.json")
    assert [entry["removed"]["rows"] for entry in proof["artifacts"]] == [2, 2]
    assert run.invoke(app, [*options, "--check", *folders]).exit_code == 0


def test_unknown_ids_change_nothing(life, tmp_path):
    ids = write_ids(tmp_path / "ids.parquet", pa.array([10**17, 10**17 + 1]))
    before = files(life.folder)
    result = forget("user", ids, life.artifacts)
    assert result.without_row == 2
    assert files(life.folder) == before


def save_checkpoint(life, output, tables):
    """A checkpoint of a run on the dataset, as the trainer writes it."""
    run = {"dataset_info_digest": file_digest(life.dataset / DATASET_INFO)}
    variables = [tf.Variable(value, name=name) for name, value in tables.items()]
    Checkpoints(life.folder / f"{output}.checkpoints", run, keep=2).save(7, variables, {"epochs": []})
    return life.folder / f"{output}.checkpoints" / "step-000000007"


def test_checkpoints_and_best_epochs(life, users, built_life):
    vocabulary = built_life.vocabulary("user")
    filled = np.ones((vocabulary.num_rows, 3), np.float32)
    names = {"user_weights": True, "user_mean": True, "fresh_user_weights": True, "user_group_1_square": True,
             "item_weights": False, "dense": False}
    step = save_checkpoint(life, "unfinished", dict.fromkeys(names, filled))
    best = life.folder / "unfinished.best/epoch-0002"
    best.mkdir(parents=True)
    for number in range(3):
        np.save(best / f"{number:03d}.npy", filled)
    write_manifest(best, "best epoch", {"epoch": 2, "tables": {"000.npy": "user", "001.npy": "item"}})
    # The folder itself does not exist yet, but what stages keep beside it is found.
    result = forget("user", users, [life.dataset, life.folder / "unfinished"])
    assert result.leaks == []
    rows = vocabulary.oov_rows + np.array([4, 5])
    expected = filled.copy()
    expected[rows] = 0
    for number, (name, zero) in enumerate(names.items()):
        assert np.array_equal(np.load(step / f"{number:03d}-{name}.npy"), expected if zero else filled), name
    assert [bool(np.load(best / f"{number:03d}.npy")[rows].any()) for number in range(3)] == [False, True, True]
    # The run continues: it names the changed dataset.
    assert read_manifest(step, "checkpoint")["run"]["dataset_info_digest"] == file_digest(life.dataset / DATASET_INFO)
    leaked = step / "001-user_mean.npy"
    leaked.unlink()
    np.save(leaked, filled)
    [leak] = check("user", users, [life.dataset, life.folder / "unfinished"])[2]
    assert leak.path == leaked.resolve()


def test_an_incremental_checkpoint_is_restored_without_the_ids(life, users, built_life, monkeypatch):
    monkeypatch.setattr(touched_rows, "MIN_ROWS", 1)
    vocabulary = built_life.vocabulary("user")
    table = EmbeddingTable("user", np.ones((vocabulary.num_rows, 3)), make_optimizer("adagrad"))
    folder, step = life.folder / "unfinished.checkpoints", life.folder / "unfinished.checkpoints/step-000000002"

    def checkpoints():
        return Checkpoints(folder, {"dataset_info_digest": file_digest(life.dataset / DATASET_INFO)}, keep=2)

    writing = checkpoints()
    writing.save(1, table.placed_variables, {})
    rows = vocabulary.oov_rows + np.array([3, 5])  # one of them is to be forgotten
    table.apply_gradients(tf.constant(rows), tf.ones([2, 3]), 0.5)
    writing.save(2, table.placed_variables, {})
    before, changed = table.numpy(), np.load(step / "000-user_weights.npy")
    assert forget("user", users, [life.dataset, life.folder / "unfinished"]).leaks == []
    table.reset(before + 1)
    assert checkpoints().restore(table.placed_variables).step == 2
    before[vocabulary.oov_rows + np.array([4, 5])] = 0
    np.testing.assert_array_equal(table.numpy(), before)
    (step / "000-user_weights.npy").unlink()
    np.save(step / "000-user_weights.npy", changed)
    [leak] = check("user", users, [life.dataset, life.folder / "unfinished"])[2]
    assert leak.path == (step / "000-user_weights.npy").resolve()


def test_a_checkpoint_needs_its_dataset(life, users, built_life):
    save_checkpoint(life, "other", {"user_weights": np.ones((3, 2), np.float32)})
    refused([life.embeddings, life.folder / "other"], users, "also name that dataset", life.folder)


def _until_killed(at, arguments):
    """Forgets in a fork that is killed before the operation with a number; returns whether it was."""
    process = os.fork()
    if process:
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 9
    counter = [0]
    operations = {"os.mkdir", "os.link", "os.rename", "os.remove", "os.rmdir", "open"}

    def count(event, values):
        writes = event != "open" or (isinstance(values[1], str) and values[1][:1] in "wxa")
        if event in operations and writes and str(values[0]).startswith(str(arguments[1])):
            counter[0] += 1
            if counter[0] == at:
                os._exit(9)

    sys.addaudithook(count)
    try:
        forget("user", arguments[0], arguments[2])
    except BaseException:
        os._exit(1)
    os._exit(0)


@pytest.mark.slow
def test_kills_at_every_file_operation(built_life, users, tmp_path):
    """A killed run leaves whole artifacts; the same command ends it, and the result is that of an undisturbed run."""
    def copied(name):
        target = Life(tmp_path / name)
        for part in ("embeddings", "ranker"):
            shutil.copytree(built_life.folder / part, target.folder / part, copy_function=os.link)
        return target, [target.embeddings, target.ranker]

    whole, folders = copied("whole")
    forget("user", users, folders)
    expected = {name: content for name, (_, content) in files(whole.folder).items()}
    kills = 0
    while True:
        life, folders = copied(f"kill-{kills}")
        if not _until_killed(kills + 1, (users, life.folder, folders)):
            break
        kills += 1
        forget("user", users, folders)
        found = {name: content for name, (_, content) in files(life.folder).items()}
        assert found.keys() == expected.keys(), kills  # no hidden leftovers
        assert all(found[name] == expected[name] for name in expected), kills
        shutil.rmtree(life.folder)
    assert kills > 40
    assert not np.load(whole.embeddings / "user/rows.npy")[Vocabulary.load(
        whole.embeddings / "user/vocabulary.parquet").free].any()
