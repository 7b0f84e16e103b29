"""What the embeddings artifact refuses, and that rows are read as they were written."""

import types

import numpy as np
import pyarrow as pa
import pytest
from resealed import older_version, reseal

from tfrs_pretrain.config import Window, Windows
from tfrs_pretrain.embeddings.artifact import Embeddings, save_embeddings
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.ranking.transfer.pretrained_rows import is_pretrained
from tfrs_pretrain.vocabulary import Vocabulary

USERS = Vocabulary(pa.array([5, 9, 7], pa.int64()), np.array([3, 2, 2]), oov_rows=1)
ITEMS = Vocabulary(pa.array(["é", "b"]), np.array([4, 3]), oov_rows=2)
TABLES = {"user": np.arange(8, dtype=np.float32).reshape(4, 2), "item": np.ones((4, 2), np.float32)}
VOCABULARIES = {"user": USERS, "item": ITEMS}
WINDOW = Window(start=1, end=31).model_dump(mode="json")


def dataset(digests=None, *, train=(31, 44), allow_overlap=False):
    windows = Windows(pretrain=Window(start=1, end=31), train=Window(start=train[0], end=train[1]),
                      validation=Window(start=44, end=46), test=Window(start=46, end=54), allow_overlap=allow_overlap)
    return types.SimpleNamespace(digests=digests or {"user": USERS.digest, "item": ITEMS.digest}, windows=windows,
                                 schema=types.SimpleNamespace(id_spaces={"user": None, "item": None}))


@pytest.fixture
def folder(tmp_path):
    save_embeddings(tmp_path / "e", TABLES, VOCABULARIES, {"window": WINDOW, "note": 1}, overwrite=False)
    return tmp_path / "e"


def test_matrices_are_read_memory_mapped(folder):
    embeddings = Embeddings.open(folder)
    assert isinstance(embeddings.matrix("user"), np.memmap)
    np.testing.assert_array_equal(embeddings.matrix("user"), TABLES["user"])
    assert embeddings.vocabulary("item").ids.to_pylist() == ["é", "b"]
    assert embeddings.manifest["kind"] == "embeddings"
    assert embeddings.manifest["tables"]["user"]["shape"] == [4, 2]
    assert str(embeddings.window) == "[1, 31)"
    embeddings.check_compatible(dataset())


def test_writing_again_needs_overwrite(folder):
    with pytest.raises(UserError, match="not empty: pass --overwrite"):
        save_embeddings(folder, TABLES, VOCABULARIES, {"window": WINDOW}, overwrite=False)
    save_embeddings(folder, TABLES, VOCABULARIES, {"window": WINDOW}, overwrite=True)


def test_table_must_have_the_size_of_its_vocabulary(tmp_path):
    with pytest.raises(ValueError, match="'user' has 3 rows, its vocabulary 4"):
        save_embeddings(tmp_path / "e", {"user": np.ones((3, 2))}, {"user": USERS}, {}, overwrite=False)
    assert list(tmp_path.iterdir()) == []


def test_unfinished_folder_is_refused(folder):
    (folder / "manifest.json").unlink()
    with pytest.raises(UserError, match="did not finish"):
        Embeddings.open(folder)


def test_changed_rows_are_refused(folder):
    np.save(folder / "user" / "rows.npy", TABLES["user"] + 1)
    with pytest.raises(UserError, match=r"user/rows\.npy': expected 160 bytes with CRC-32C"):
        Embeddings.open(folder)


def test_changed_rows_of_an_older_version_are_refused(folder, capsys):
    older_version(folder / "manifest.json")
    np.testing.assert_array_equal(Embeddings.open(folder).matrix("user"), TABLES["user"])
    assert "was written by an older version" in capsys.readouterr().err
    np.save(folder / "user" / "rows.npy", TABLES["user"] + 1)
    with pytest.raises(UserError, match="expected digest"):
        Embeddings.open(folder)


@pytest.mark.parametrize("rows", [np.ones((5, 2), np.float32), np.ones((4, 2), np.float64)])
def test_wrong_shape_or_dtype_is_refused(folder, rows):
    np.save(folder / "user" / "rows.npy", rows)
    reseal(folder)
    with pytest.raises(UserError, match=rf"expected float32 \[4, 2\], found {rows.dtype} \[{len(rows)}, 2\]"):
        Embeddings.open(folder)


@pytest.mark.parametrize("content", [b"", b"nonsense"])
def test_unreadable_rows_are_refused(folder, content):
    (folder / "user" / "rows.npy").write_bytes(content)
    reseal(folder)
    with pytest.raises(UserError, match="cannot be read"):
        Embeddings.open(folder)


def test_foreign_vocabulary_is_refused(folder):
    with pytest.raises(UserError, match="table 'item' was trained for another vocabulary"):
        Embeddings.open(folder).check_compatible(dataset({"user": USERS.digest, "item": USERS.digest}))


def test_missing_table_is_refused(tmp_path):
    save_embeddings(tmp_path / "e", {"user": TABLES["user"]}, VOCABULARIES, {"window": WINDOW}, overwrite=False)
    with pytest.raises(UserError, match=r"no table 'item', only \['user'\]"):
        Embeddings.open(tmp_path / "e").check_compatible(dataset())


def test_overlap_is_refused_unless_allowed_by_name(tmp_path):
    late = Window(start=1, end=32).model_dump(mode="json")
    save_embeddings(tmp_path / "e", TABLES, VOCABULARIES, {"window": late}, overwrite=False)
    embeddings = Embeddings.open(tmp_path / "e")
    with pytest.raises(UserError, match=r"window \[1, 32\), which must end before the ranking window \[31, 44\)"):
        embeddings.check_compatible(dataset())
    embeddings.check_compatible(dataset(allow_overlap=True))


def test_windows_of_another_kind_are_refused(tmp_path):
    dates = Window.model_validate({"start": "2020-01-01", "end": "2020-02-01"}).model_dump(mode="json")
    save_embeddings(tmp_path / "e", TABLES, VOCABULARIES, {"window": dates}, overwrite=False)
    with pytest.raises(UserError, match="cannot be compared"):
        Embeddings.open(tmp_path / "e").check_compatible(dataset())


def test_rows_are_copied_by_id_from_any_row(folder):
    now = {"user": Vocabulary(pa.array([7, 8, 5], pa.int64()), np.ones(3), oov_rows=1),
           "item": Vocabulary(pa.array(["new", "b"]), np.ones(2), oov_rows=1)}
    later = types.SimpleNamespace(vocabulary=now.get)
    users, items = np.full((4, 2), -1, np.float32), np.full((3, 2), -1, np.float32)
    embeddings = Embeddings.open(folder)
    users, copied_users = embeddings.copy_known_rows(users, "user", later)
    items, copied_items = embeddings.copy_known_rows(items, "item", later)
    assert (copied_users, copied_items) == (2, 1)
    # Earlier rows of the users: shared, 5, 9, 7. The items have fewer shared rows than before, so these are not copied.
    np.testing.assert_array_equal(users, [[0, 1], [6, 7], [-1, -1], [2, 3]])
    np.testing.assert_array_equal(items, [[-1, -1], [-1, -1], [1, 1]])
    with pytest.raises(UserError, match="'user' has 2 columns and ids of type int64, here it has 3 and int64"):
        embeddings.copy_known_rows(np.zeros((4, 3), np.float32), "user", later)


def test_a_row_follows_its_id_around_free_rows(tmp_path):
    """Also an id that equals the missing value takes its own row only, and free rows keep their initial values."""
    before = Vocabulary(pa.array([-1, None, 5, 7]), np.array([1, 0, 1, 1]), 1)
    after = Vocabulary(pa.array([None, 5, 8, None, 7]), np.array([0, 1, 1, 0, 1]), 1)
    rows = np.arange(10, dtype=np.float32).reshape(5, 2)
    save_embeddings(tmp_path / "e", {"user": rows}, {"user": before}, {"window": WINDOW}, overwrite=False)
    table = np.full((6, 2), -1, np.float32)
    current = types.SimpleNamespace(vocabulary=lambda name: after)
    table, copied = Embeddings.open(tmp_path / "e").copy_known_rows(table, "user", current)
    assert copied == 2
    assert table[...][:, 0].tolist() == [0, -1, 6, -1, -1, 8]


def test_rows_that_were_trained_in_an_earlier_window_stay_trained(tmp_path):
    """Of 4 ids in the first window, 5 and 7 occur; in the second window, 8 does and 9 does not."""
    first = Vocabulary(pa.array([5, 6, 7, 4]), np.array([1, 0, 2, 0]), 1)
    second = Vocabulary(pa.array([5, 8, 7, 9]), np.array([0, 1, 0, 0]), 1)
    third = second.with_freed(np.array([3]))
    rows = np.ones((5, 2), np.float32)
    save_embeddings(tmp_path / "1", {"user": rows}, {"user": first}, {"window": WINDOW}, overwrite=False)
    assert Embeddings.open(tmp_path / "1").trained_rows("user") is None
    trained = Embeddings.open(tmp_path / "1").rows_after("user", second)
    assert trained.tolist() == [False, True, True, True, False]
    save_embeddings(tmp_path / "2", {"user": rows}, {"user": second}, {"window": WINDOW}, overwrite=False,
                    trained={"user": trained})
    later = Embeddings.open(tmp_path / "2")
    np.testing.assert_array_equal(later.trained_rows("user"), trained)
    assert later.rows_after("user", third).tolist() == [False, True, True, False, False]
    pretrained = is_pretrained(types.SimpleNamespace(vocabulary=lambda name: third), "user", later)
    assert pretrained.tolist() == [False, True, True, False, False]  # the forgotten id has no row
    np.save(tmp_path / "2" / "user" / "trained.npy", ~trained)
    with pytest.raises(UserError, match=r"user/trained\.npy"):
        Embeddings.open(tmp_path / "2")
