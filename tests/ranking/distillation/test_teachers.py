"""Fixed teachers: stored logits and trained rankers."""

import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from resealed import rewrite

from tfrs_pretrain.config import Config, DistillationConfig
from tfrs_pretrain.data.impressions import evaluation_batches, training_batches
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.ranking.build import build_parts
from tfrs_pretrain.ranking.distillation.step import TEACHER_LOGITS, distillation_step, label_step
from tfrs_pretrain.ranking.distillation.stored_logits import StoredLogits
from tfrs_pretrain.ranking.distillation.teachers import open_teacher, teacher_digest
from tfrs_pretrain.ranking.model.artifact import load_ranker
from tfrs_pretrain.ranking.run import run_identity, train_arm

LABELS = ("label",)


@pytest.fixture(scope="module")
def train_keys(planted):
    batches = evaluation_batches(planted.dataset, "impressions/train", batch_size=8000, columns=("key",))
    return next(batches.as_numpy_iterator())["key"]


@pytest.fixture
def stored(tmp_path, train_keys):
    """Writes a teacher's file: ``stored(**columns)``, by default logits computed from the key, in random order."""

    def write(**columns):
        order = np.random.default_rng(0).permutation(len(train_keys))
        columns = columns or {"key": train_keys[order], "logit": logit_of(train_keys[order])}
        pq.write_table(pa.table(columns), tmp_path / "teacher.parquet")
        return tmp_path / "teacher.parquet"

    return write


def logit_of(keys):
    return (keys % 1000) / 100.0 - 5.0


@pytest.fixture(scope="module")
def trained(planted, planted_embeddings, tmp_path_factory):
    config = Config.model_validate(planted.dataset.info["config"])
    folder = tmp_path_factory.mktemp("trained") / "ranker"
    train_arm(config, planted.dataset, "warm_start", folder, embeddings=planted_embeddings)
    return folder


def some_batch(dataset, teacher, size=64):
    return next(iter(training_batches(dataset, batch_size=size, seed=1, epoch=0, identifying=teacher.columns)))


def test_stored_logits_are_found_by_key(planted, stored):
    teacher = StoredLogits(stored(), planted.dataset, LABELS)
    batch = some_batch(planted.dataset, teacher)
    np.testing.assert_allclose(teacher.logits(batch)[:, 0], logit_of(batch["key"].numpy()), rtol=1e-6)


def test_stored_scores_become_logits(planted, stored, train_keys):
    scores = 1 / (1 + np.exp(-logit_of(train_keys)))
    scores[0] = 1.0
    teacher = StoredLogits(stored(key=train_keys, score=scores), planted.dataset, LABELS)
    found = teacher.logits({"key": tf.constant(train_keys[:50])}).numpy()[:, 0]
    np.testing.assert_allclose(found[1:], logit_of(train_keys[1:50]), rtol=1e-4)
    assert found[0] == pytest.approx(np.log(1e7), rel=1e-3)


def test_further_heads_have_columns_of_their_own(planted, stored, train_keys):
    path = stored(key=train_keys, logit=logit_of(train_keys), logit_liked=-logit_of(train_keys))
    found = StoredLogits(path, planted.dataset, ("label", "liked")).logits({"key": tf.constant(train_keys[:9])})
    np.testing.assert_allclose(found, np.stack([logit_of(train_keys[:9]), -logit_of(train_keys[:9])], 1), rtol=1e-6)


@pytest.mark.parametrize(("columns", "message"), [
    (lambda keys: {"key": keys[1:], "logit": logit_of(keys[1:])},
     r"has no logit for 1 of 8000 training impressions, the first with key {first}"),
    (lambda keys: {"key": keys[:0], "logit": logit_of(keys[:0])}, r"no logit for 8000 of 8000"),
    (lambda keys: {"key": keys, "value": logit_of(keys)}, r"neither column 'logit' nor 'score'"),
    (lambda keys: {"key": keys.astype(str), "logit": logit_of(keys)}, r"needs an int64 column 'key'"),
    (lambda keys: {"key": np.append(keys, keys[0]), "logit": np.append(logit_of(keys), 9.0)}, r"key {first} twice"),
    (lambda keys: {"key": keys, "logit": np.where(np.arange(8000) == 0, np.nan, 1.0)}, r"key {first} is not finite"),
])
def test_invalid_stored_logits_are_refused(planted, stored, train_keys, columns, message):
    with pytest.raises(UserError, match=message.format(first=train_keys[0])):
        StoredLogits(stored(**columns(train_keys)), planted.dataset, LABELS)


def test_a_path_without_a_teacher_is_refused(planted, tmp_path):
    (tmp_path / "notes.txt").write_text("no Parquet")
    with pytest.raises(UserError, match="cannot be read as Parquet"):
        open_teacher(tmp_path / "notes.txt", planted.dataset, LABELS)
    with pytest.raises(UserError, match="is no teacher: expected a Parquet file of logits, the folder"):
        open_teacher(tmp_path, planted.dataset, LABELS)


def test_a_trained_rankers_logits_are_the_targets(planted, trained):
    teacher = open_teacher(trained, planted.dataset, LABELS)
    batch = some_batch(planted.dataset, teacher)
    taught = next(iter(teacher.add_logits(tf.data.Dataset.from_tensors(batch))))
    expected = load_ranker(trained, planted.dataset).logits(batch)
    np.testing.assert_allclose(taught[TEACHER_LOGITS], expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(UserError, match="has no head for label 'liked'"):
        open_teacher(trained, planted.dataset, ("label", "liked"))


def test_a_teacher_trained_on_the_evaluation_window_is_refused(planted, trained, tmp_path):
    shutil.copytree(trained, tmp_path / "late")
    manifest = json.loads((trained / "manifest.json").read_text())
    manifest["windows"]["train"]["end"] = 21
    manifest["windows"]["validation"]["start"] = 21
    rewrite(tmp_path / "late" / "manifest.json", manifest)
    message = r"was trained on window \[10, 21\), which must end before the validation window \[20, 22\) starts"
    with pytest.raises(UserError, match=message):
        open_teacher(tmp_path / "late", planted.dataset, LABELS)


def test_the_teacher_is_part_of_the_runs_identity(planted, config, stored, train_keys):
    path = stored()
    identity = run_identity(with_teacher(config, path), planted.dataset, "taught", None, 1)
    again = run_identity(with_teacher(config, path), planted.dataset, "taught", None, 1)
    stored(key=train_keys, logit=np.zeros(len(train_keys)))
    other = run_identity(with_teacher(config, path), planted.dataset, "taught", None, 1)
    assert identity == again != other
    assert teacher_digest(DistillationConfig()) is None


def with_teacher(config, path, **settings):
    tree = config.resolved()
    tree["ranking"]["arms"]["taught"] = {"distillation": {"teacher": {"kind": "fixed", "path": str(path)}, **settings}}
    return Config.model_validate(tree)


def state(learner):
    return [table.numpy() for table in learner.ranker.tables.values()] + learner.ranker.network.get_weights()


def test_weight_zero_is_bit_identical_to_no_teacher(planted, config, stored):
    config = with_teacher(config, stored(), weight=0.0)
    students = []
    for arm in ("taught", "scratch"):
        parts = build_parts(config, planted.dataset, config.ranking.arms[arm], None, steps=9)
        step = tf.function(parts.step, autograph=False)
        losses = [float(step(batch)["loss"])
                  for batch in parts.batches(planted.dataset, 1, 0, batch_size=128, seed=4).take(9)]
        students.append((state(parts.student), losses))
    for one, other in zip(students[0][0], students[1][0], strict=True):
        np.testing.assert_array_equal(one, other)
    assert students[0][1] == students[1][1]


def test_stored_logits_equal_the_same_logits_in_the_batch(planted, config, build):
    """The column is the only effect of a fixed teacher: compared with a student that is given the logits directly."""
    settings = DistillationConfig(weight=0.6, temperature=2.0)
    random = np.random.default_rng(3)
    batch = {name: tf.constant(random.integers(0, most, 64)) for name, most in
             (("user", 150), ("item", 250), ("place", 3))}
    batch |= {"price": tf.zeros([64]), "label": tf.constant(random.integers(0, 2, 64), tf.float32)}
    logits = tf.constant(random.normal(size=(64, 1)), tf.float32)
    values = distillation_step(build("student"), None, settings)(batch | {TEACHER_LOGITS: logits})
    before = build("student").ranker.logits(batch).numpy()[:, 0].astype(np.float64)
    target = 1 / (1 + np.exp(-logits.numpy()[:, 0] / 2))
    soft = 4 * np.mean(target * np.log(1 + np.exp(-before / 2)) + (1 - target) * np.log(1 + np.exp(before / 2)))
    hard = float(label_step(build("student"))(batch)["loss"])
    assert float(values["soft"]) == pytest.approx(soft, rel=1e-5)
    assert float(values["loss"]) == pytest.approx(0.4 * hard + 0.6 * soft, rel=1e-5)


def test_an_arm_with_a_fixed_teacher_trains_and_its_artifact_has_no_teacher(planted, config, stored, tmp_path):
    config = with_teacher(config, stored())
    manifest = train_arm(config, planted.dataset, "taught", tmp_path / "ranker", embeddings=None).to_json()
    assert set(manifest["epochs"][0]["train"]) == {"loss", "hard", "soft", "teacher", "soft_weight"}
    files = sorted(path.name for path in (tmp_path / "ranker").rglob("*") if path.is_file())
    assert files == ["item.npy", "manifest.json", "network.keras", "place.npy", "test.parquet", "user.npy",
                     "validation.parquet"]
    plain = build_parts(config, planted.dataset, config.ranking.arms["scratch"], None, steps=1).student.variables
    taught = build_parts(config, planted.dataset, config.ranking.arms["taught"], None, steps=1).student.variables
    assert [variable.shape for variable in plain] == [variable.shape for variable in taught]
