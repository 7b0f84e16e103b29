"""Checkpoints are restored bit by bit, or the one before is; never those of another run."""

import json
import os

import numpy as np
import pytest
import tensorflow as tf
from resealed import rewrite

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.json_documents import document_text
from tfrs_pretrain.training.checkpoint import Checkpoints, checkpoint_folder

RUN = {"seed": 3, "pretraining": {"dim": 4}}


def variables(scale=0.0):
    rows = np.arange(12, dtype=np.float32).reshape(3, 4) * np.float32(scale / 7)
    return [tf.Variable(rows, name="user_weights"), tf.Variable(int(scale), dtype=tf.int64, name="user_step")]


@pytest.fixture
def checkpoints(tmp_path):
    return Checkpoints(checkpoint_folder(tmp_path / "out"), RUN, keep=2)


def saved(checkpoints, *steps):
    for step in steps:
        checkpoints.save(step, variables(step), {"epoch": step})
    return checkpoints


def test_variables_and_progress_are_restored(checkpoints):
    saved(checkpoints, 5)
    state = variables()
    restored = checkpoints.restore(state)
    assert (restored.progress, checkpoints.damaged) == ({"epoch": 5}, ())
    for got, expected in zip(state, variables(5), strict=True):
        np.testing.assert_array_equal(got.numpy(), expected.numpy())


def test_only_the_newest_are_kept(checkpoints, tmp_path):
    saved(checkpoints, 5, 10, 100, 20)
    assert [path.name for path in checkpoints.paths] == ["step-000000020", "step-000000100"]
    assert checkpoints.describe() == repr(str(tmp_path / "out.checkpoints" / "step-000000100"))
    checkpoints.remove()
    assert list(tmp_path.iterdir()) == []


def test_only_folders_count_as_checkpoints(checkpoints):
    saved(checkpoints, 5)
    (checkpoints.folder / "step-999999999").write_text("not a folder")
    assert [path.name for path in checkpoints.paths] == ["step-000000005"]
    assert checkpoints.restore(variables()).step == 5


def test_nothing_to_restore(checkpoints):
    assert checkpoints.restore(variables()) is None
    assert checkpoints.describe() == "none yet"


@pytest.mark.parametrize(("file", "damage", "reason"), [
    ("000-user_weights.npy", lambda data: data[:-1] + b"?", "000-user_weights.npy changed after it was written"),
    ("000-user_weights.npy", lambda data: data[:100], "000-user_weights.npy changed after it was written"),
    ("001-user_step.npy", None, "001-user_step.npy is missing"),
    ("manifest.json", lambda data: data[:50], "its manifest cannot be read"),
    ("manifest.json", None, "its manifest cannot be read"),
    ("manifest.json", lambda data: data.replace(b'"epoch": 10', b'"epoch": 11'), "its manifest cannot be read"),
    ("manifest.json", lambda data: document_text({**json.loads(data), "run": None}).encode(),
     "its manifest is incomplete"),
    ("manifest.json", lambda data: document_text({**json.loads(data), "step": "0"}).encode(),
     "its manifest is incomplete"),
])
def test_a_damaged_checkpoint_is_named_and_the_one_before_used(checkpoints, file, damage, reason):
    saved(checkpoints, 5, 10)
    path = checkpoints.paths[-1] / file
    if damage:
        path.write_bytes(damage(path.read_bytes()))
    else:
        path.unlink()
    state = variables()
    restored = checkpoints.restore(state)
    assert restored.progress == {"epoch": 5}
    assert checkpoints.damaged == (f"step-000000010 ({reason})",)
    assert sorted(path.name for path in checkpoints.folder.iterdir()) == ["damaged-step-000000010-1", "step-000000005"]
    assert state[1].numpy() == 5


def test_a_run_whose_checkpoints_are_all_damaged_keeps_its_new_ones(checkpoints):
    for attempt in (1, 2):
        saved(checkpoints, 50, 60)
        for path in checkpoints.paths:
            (path / "001-user_step.npy").unlink()
        state = variables()
        assert checkpoints.restore(state) is None
        assert (len(checkpoints.damaged), state[1].numpy(), checkpoints.paths) == (2, 0, [])
        assert len(list(checkpoints.folder.glob("damaged-step-*"))) == 2 * attempt  # evidence is not overwritten
    saved(checkpoints, 5, 10, 15)
    assert [path.name for path in checkpoints.paths] == ["step-000000010", "step-000000015"]
    assert checkpoints.restore(variables()).step == 15
    checkpoints.remove()
    assert not checkpoints.folder.exists()


def test_the_checkpoints_that_were_written_last_are_kept(checkpoints):
    saved(checkpoints, 50, 60, 5)
    assert [path.name for path in checkpoints.paths] == ["step-000000005", "step-000000060"]
    os.utime(checkpoints.folder / "step-000000060", (1e9, 1e9))
    saved(checkpoints, 10)
    assert [path.name for path in checkpoints.paths] == ["step-000000005", "step-000000010"]


def test_a_process_that_does_not_write_renames_nothing(checkpoints):
    saved(checkpoints, 5)
    (checkpoints.paths[0] / "manifest.json").unlink()
    reader = Checkpoints(checkpoints.folder, RUN, keep=2, writes=False)
    assert reader.restore(variables()) is None
    assert reader.damaged == ("step-000000005 (its manifest cannot be read)",)
    assert [path.name for path in reader.paths] == ["step-000000005"]


def test_an_unfinished_checkpoint_is_never_read_and_is_removed(checkpoints):
    saved(checkpoints, 5)
    (checkpoints.paths[0].parent / ".step-000000009.unfinished-abc").mkdir()
    assert checkpoints.restore(variables()).progress == {"epoch": 5}
    saved(checkpoints, 6)
    assert sorted(path.name for path in checkpoints.folder.iterdir()) == ["step-000000005", "step-000000006"]


def test_another_run_is_refused(checkpoints):
    saved(checkpoints, 5)
    state = variables()
    with pytest.raises(UserError, match=r"another run, first difference in pretraining.dim \(4 there, 8 here\)"):
        Checkpoints(checkpoints.folder, RUN | {"pretraining": {"dim": 8}}, keep=2).restore(state)
    assert state[1].numpy() == 0


def test_checkpoints_of_an_older_format_are_refused(checkpoints):
    saved(checkpoints, 5)
    manifest = checkpoints.paths[0] / "manifest.json"
    content = json.loads(manifest.read_text())
    del content["run"]["checkpoint_format"]
    rewrite(manifest, content)
    with pytest.raises(UserError, match=r"another version of this program, 0\..* \(format 1, expected 4\)"):
        checkpoints.restore(variables())
    assert [path.name for path in checkpoints.paths] == ["step-000000005"]


def test_another_number_of_variables_is_not_restored(checkpoints):
    saved(checkpoints, 5)
    with pytest.raises(UserError, match=r"another version of this program.* \(2 variables, expected 1\)"):
        checkpoints.restore(variables()[:1])
    assert [path.name for path in checkpoints.paths] == ["step-000000005"]


def test_a_checkpoint_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "c").write_text("a file in the way")
    checkpoints = Checkpoints(tmp_path / "c", RUN, keep=2)
    with pytest.raises(UserError, match=r"cannot be written .*free some space, then run the same command again"):
        saved(checkpoints, 5)
    with pytest.raises(UserError, match=r"cannot be written .*name another output"), checkpoints.exclusive():
        pass


def test_other_shapes_are_not_restored(checkpoints):
    saved(checkpoints, 5)
    with pytest.raises(UserError, match=r"another version.* has shape \[3, 4\], expected \[2, 4\]\)"):
        checkpoints.restore([tf.Variable(tf.zeros([2, 4])), variables()[1]])


def test_values_that_are_not_finite_are_not_saved(checkpoints):
    saved(checkpoints, 5)
    state = variables(7)
    state[0].assign(tf.fill([3, 4], np.nan))
    with pytest.raises(UserError, match=r"'user_weights' is not finite.*last good checkpoint: '.*step-000000005'"):
        checkpoints.save(7, state, {})
    assert [path.name for path in checkpoints.folder.iterdir()] == ["step-000000005"]


def test_a_reader_writes_nothing(tmp_path):
    reader = Checkpoints(tmp_path / "c", RUN, keep=2, writes=False)
    saved(reader, 5)
    reader.remove()
    assert list(tmp_path.iterdir()) == []


def test_two_processes_do_not_train_into_one_output(checkpoints, tmp_path):
    other = Checkpoints(checkpoint_folder(tmp_path / "out"), RUN, keep=2)
    follower = Checkpoints(checkpoint_folder(tmp_path / "out"), RUN, keep=2, writes=False)
    with checkpoints.exclusive():
        for step in (5, 10):
            message = r"another process is training with checkpoints '.*out.checkpoints': wait"
            with pytest.raises(UserError, match=message), other.exclusive():
                pass
            assert checkpoints.folder.is_dir()  # although it is empty at first
            saved(checkpoints, step)
        with follower.exclusive():  # another worker of the same run
            pass
        assert len(checkpoints.paths) == 2
    with other.exclusive():
        other.remove()
    with checkpoints.exclusive():  # a run that saves nothing leaves nothing
        pass
    assert list(tmp_path.iterdir()) == []


def test_only_checkpoints_of_the_same_run_that_no_process_uses_are_removed(checkpoints, tmp_path):
    saved(checkpoints, 5, 10)
    other = Checkpoints(checkpoints.folder, RUN | {"seed": 4}, keep=2)
    assert not other.remove_own()
    with checkpoints.exclusive():
        assert not checkpoints.remove_own()
    assert len(checkpoints.paths) == 2
    (checkpoints.folder / "damaged-step-000000001-1").mkdir()
    assert checkpoints.remove_own()
    assert list(tmp_path.iterdir()) == []
    assert checkpoints.remove_own()  # nothing is left
    assert list(tmp_path.iterdir()) == []


def test_unreadable_checkpoints_are_not_removed(checkpoints):
    saved(checkpoints, 5, 10)
    (checkpoints.paths[0] / "manifest.json").write_text("{}")
    assert not checkpoints.remove_own()
    assert len(checkpoints.paths) == 2
