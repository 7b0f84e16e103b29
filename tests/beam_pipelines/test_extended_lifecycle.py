"""The life cycle in jobs: vocabularies of windows that follow each other against the naive twin, and their counts."""

import collections

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from planted import planted_config
from resealed import reseal
from vocabulary_twin import Rules, Twin

from beam_pipelines import build_vocabulary
from tfrs_pretrain.artifact_names import DATASET_INFO
from tfrs_pretrain.artifacts import read_manifest
from tfrs_pretrain.config import Config
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.schema import IdSpace
from tfrs_pretrain.vocabulary import Vocabulary

SPACE = {"column": "item", "dtype": "string", "oov_rows": 8}
LIFECYCLE = {"min_count": 2, "max_size": 40, "eviction": "least_recent", "ttl": 2, "decay": 0.5}
RULES = Rules(0.5, ttl_windows=2, eviction="least_recent", min_count=2, max_size=40)


@pytest.fixture(scope="module")
def few_logs(planted_logs, tmp_path_factory):
    """Every tenth row of the logs."""
    folder = tmp_path_factory.mktemp("logs")
    for path in planted_logs.glob("*.parquet"):
        table = pq.read_table(path)
        step = 10 if path.stem in ("engagements", "impressions") else 1
        pq.write_table(table.take(pa.array(range(0, len(table), step))), folder / path.name)
    return folder


@pytest.fixture
def extend(few_logs, tmp_path):
    """Runs the job for a window of days, and returns the vocabulary of items and the manifest."""

    def run(name, start, end, space, *options):
        tree = planted_config()
        tree["schema"]["item"] = SPACE | space
        tree["windows"]["pretrain"] = {"start": start, "end": end}
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(tree))
        build_vocabulary.run([f"--config={tmp_path / 'config.yaml'}", f"--raw={few_logs}",
                              f"--output={tmp_path / name}", *options])
        return (Vocabulary.load(tmp_path / name / "vocabulary" / "item.parquet"),
                read_manifest(tmp_path / name, "vocabulary", name=DATASET_INFO))

    return run


def counts_of(logs, start, end):
    table = pq.read_table(logs / "engagements.parquet").to_pylist()
    return dict(collections.Counter(row["item"] for row in table if start <= row["day"] < end))


def test_each_window_has_the_ids_rows_and_counts_of_the_twin(extend, few_logs, tmp_path):
    vocabulary, info = extend("0", 0, 1, LIFECYCLE)
    twin = Twin(counts_of(few_logs, 0, 1), 1, RULES)
    assert vocabulary.ids.to_pylist() == twin.rows
    assert "lifecycle" not in info
    totals = collections.Counter()
    for day in range(1, 4):
        before = twin.advance(counts_of(few_logs, day, day + 1), day + 1, RULES)
        vocabulary, info = extend(str(day), day, day + 1, LIFECYCLE, f"--extend={tmp_path / str(day - 1)}",
                                  f"--read_batch_rows={100 * day}")
        assert vocabulary.ids.to_pylist() == twin.rows
        assert vocabulary.lifetimes.window_ends == tuple(range(1, day + 2))
        assert [vocabulary.counts[life.row] for life in twin.lives.values()] == [
            round(life.decayed) for life in twin.lives.values()]
        changes = info["lifecycle"]["item"]
        assert changes["kept"] == len(before & set(twin.lives))
        assert changes["kept"] + changes["evicted"] == len(before)
        assert changes["kept"] + changes["admitted"] == info["vocabularies"]["item"]["ids"] == len(twin.lives)
        assert info["lifecycle"]["user"]["evicted"] == 0  # users have no life cycle
        totals.update(changes)
    assert min(totals[key] for key in ("kept", "admitted", "evicted", "reused")) > 0
    assert vocabulary.num_rows <= 40 + 8
    with pytest.raises(UserError, match=r"vocabulary 'item': .* built from window \[3, 4\), which ends after"):
        extend("early", 1, 2, LIFECYCLE, f"--extend={tmp_path / '3'}")


def test_ids_of_a_vocabulary_without_life_cycle_count_as_seen_in_its_window(extend, few_logs, tmp_path):
    first, _ = extend("first", 0, 1, {})
    assert first.lifetimes is None
    second, _ = extend("second", 1, 2, {"ttl": 2}, f"--extend={tmp_path / 'first'}")
    assert second.lifetimes.window_ends == (1, 2)
    assert second.ids.to_pylist()[:first.num_ids] == first.ids.to_pylist()
    counts = counts_of(few_logs, 1, 2)
    last = [int(value in counts) for value in first.ids.to_pylist()]
    assert second.lifetimes.last[:first.num_ids].tolist() == last
    assert 0 < sum(last) < len(last)


def test_forgotten_ids_are_counted_once_and_their_rows_are_reused(extend, tmp_path):
    first, _ = extend("first", 0, 1, {"max_size": 10})
    first.with_freed(first.id_rows[[2, 5]]).save(tmp_path / "first" / "vocabulary" / "item.parquet")
    reseal(tmp_path / "first")
    kept = first.with_freed(first.id_rows[[2, 5]]).known_ids.to_pylist()
    second, info = extend("second", 1, 2, {"max_size": 10}, f"--extend={tmp_path / 'first'}")
    assert info["lifecycle"]["item"] == {"kept": 8, "admitted": 2, "evicted": 0, "reused": 2, "deleted": 2}
    assert [value for position, value in enumerate(second.ids.to_pylist()) if position not in (2, 5)] == kept
    assert (second.num_rows, len(second.free), second.forgotten) == (18, 0, 0)


@pytest.mark.parametrize(("settings", "expected"), [
    ({"ttl": 3}, (0.0, 3, None, None)), ({"ttl": "36h"}, (0.0, None, 36 * 3600 * 10**6, None)),
    ({"ttl": "90d", "decay": 0.5}, (0.5, None, 90 * 86_400 * 10**6, None)),
    ({"eviction": "least_frequent", "max_size": 9}, (0.0, None, None, "least_frequent"))])
def test_settings_become_rules(settings, expected):
    rules = IdSpace(column="u", **settings).lifecycle
    assert (rules.decay, rules.ttl_windows, rules.ttl_time, rules.eviction) == expected


def test_without_settings_there_is_no_life_cycle():
    assert IdSpace(column="u", min_count=2, max_size=9).lifecycle is None


@pytest.mark.parametrize(("settings", "words"), [
    ({"ttl": 0}, "greater than or equal to 1"), ({"ttl": "9w"}, "pattern"), ({"ttl": "0d"}, "pattern"),
    ({"decay": 1.5}, "less than or equal to 1"), ({"eviction": "oldest", "max_size": 9}, "least_recent"),
    ({"eviction": "least_recent"}, "has no effect without max_size")])
def test_settings_without_meaning_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        IdSpace(column="u", **settings)


def test_a_time_needs_windows_of_dates():
    tree = planted_config()
    tree["schema"]["user"]["ttl"] = "90d"
    with pytest.raises(ValueError, match=r"schema\.user\.ttl '90d' is a time, but the windows are integers"):
        Config.model_validate(tree)
