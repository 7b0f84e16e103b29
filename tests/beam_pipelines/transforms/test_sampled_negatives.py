"""Sampled negatives of logs without impressions against a twin in plain Python."""

from collections import Counter

import naive_hashing as naive
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import planted_config

from beam_pipelines.build_dataset import build
from beam_pipelines.transforms.sampled_negatives import ENGAGED, _add_negatives, _assign_spans, _draw_candidates
from tfrs_pretrain.config import Config, ImplicitFeedback
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.errors import UserError

DAY = 86_400_000_000
EVENT = st.tuples(st.sampled_from(["u", "v", "é"]), st.sampled_from("abcd"), st.integers(0, 9))


def twin(engagements, positives, count, span, repeats="exclude"):
    """Positives and their negatives by loops: {(user, item, time): items in the order of the draws}."""
    ordered = sorted(engagements, key=lambda event: (event[2], event[1]))
    negatives = {}
    for user, item, time in positives:
        mine = [event for event in [*engagements, *positives] if event[0] == user]
        if repeats == "exclude" and any(other == item and when < time for _, other, when in mine):
            continue
        pool = [event[1] for event in ordered if time - span <= event[2] < time]
        known = {other for _, other, when in mine if when == time or (repeats == "exclude" and when < time)}
        first = naive.combine(naive.event(user, item, time), naive.hash_id(0))
        drawn = [pool[int(naive.fraction(naive.mix((first + k) & naive.MASK)) * len(pool))]
                 for k in range(5 * count)] if pool else []
        negatives[user, item, time] = list(dict.fromkeys(other for other in drawn if other not in known))[:count]
    return negatives


def _batch(events, **more):
    users, items, times = (list(column) for column in zip(*events, strict=True))
    return pa.RecordBatch.from_pydict({"user_id": users, "item_id": items, "@time": pa.array(times, pa.int64())} | more)


def _sample(engagements, positives, count, span, repeats="exclude"):
    """Runs both groupings as a runner does, with loops."""
    spans: dict[int, list] = {}
    events = _batch(engagements, **{"@end": pa.array([time for *_, time in engagements], pa.int64())})
    parts = [(ENGAGED, events), ("train", _batch(positives))]
    for split, batch in parts:
        for number, part in _assign_spans(split, batch, span):
            spans.setdefault(number, []).append(part)
    drawn = [part for group in spans.items() for part in _draw_candidates(group, span, 5 * count, 0, ())]
    feedback = ImplicitFeedback(negatives_per_positive=count, repeats=repeats)
    return [row for _, batch in _add_negatives((0, [parts[0], *drawn]), feedback) for row in batch.to_pylist()]


@settings(deadline=None, max_examples=200)
@given(st.lists(EVENT, min_size=1, max_size=25), st.lists(EVENT, min_size=1, max_size=8, unique=True),
       st.integers(1, 3), st.integers(1, 6), st.sampled_from(["exclude", "include"]))
def test_negatives_equal_those_of_the_twin(engagements, positives, count, span, repeats):
    rows = _sample(engagements, positives, count, span, repeats)
    expected = twin(engagements, positives, count, span, repeats)
    assert Counter((row["user_id"], row["item_id"], row["@time"]) for row in rows if row["label"]) == Counter(
        list(expected))
    assert Counter((row["user_id"], row["item_id"], row["@time"]) for row in rows if not row["label"]) == Counter(
        (user, item, time) for (user, _, time), items in expected.items() for item in items)


@settings(deadline=None, max_examples=60)
@given(st.lists(EVENT, min_size=1, max_size=25), st.integers(1, 9), st.lists(EVENT, max_size=10))
def test_the_future_never_changes_negatives(engagements, time, later):
    future = [(user, item, max(when, time + 1)) for user, item, when in later]
    positive = [("u", "a", time)]
    assert _sample(engagements + future, positive, 2, 4) == _sample(engagements, positive, 2, 4)


def _implicit(**feedback) -> Config:
    tree = planted_config()
    tree["schema"]["features"] = [feature for feature in tree["schema"]["features"]
                                  if feature["source"] != "impressions"]
    tree["dataset"] |= {"implicit_feedback": {"negatives_per_positive": 3, "popularity_days": 2} | feedback,
                        "sources": {"impressions": "engagements.parquet"}}
    return Config.model_validate(tree)


def _impressions(dataset: Dataset, split: str) -> list[tuple]:
    spec = {name: tf.io.FixedLenFeature([], dtype) for name, dtype in (
        ("user_id", tf.int64), ("item_id", tf.string), ("label", tf.float32))}
    records = list(tf.data.TFRecordDataset(dataset.files(f"impressions/{split}")).as_numpy_iterator())
    user, item, label = (tf.io.parse_example(records, spec)[name].numpy().tolist() for name in spec)
    return list(zip(user, [name.decode() for name in item], label, strict=True))


@pytest.fixture(scope="module")
def implicit_dataset(planted_logs, tmp_path_factory) -> Dataset:
    folder = tmp_path_factory.mktemp("implicit") / "dataset"
    build(_implicit(), planted_logs, folder)
    return Dataset.open(folder)


def test_a_dataset_of_positives_has_the_negatives_of_the_twin(implicit_dataset, planted_logs):
    log = pd.read_parquet(planted_logs / "engagements.parquet")
    times = log.ts.astype("datetime64[us]").astype("int64")
    events = pd.DataFrame({"user": log.member, "item": log.item, "time": times}).sort_values(["time", "item"])
    known: dict[tuple, int] = {}
    for user, item, time in events.itertuples(index=False):
        known.setdefault((user, item), time)
    expected: Counter = Counter()
    for user, item, time in events.loc[log.day.between(28, 29)[events.index]].itertuples(index=False):
        if known[user, item] < time:
            continue
        pool = events.item.to_numpy()[events.time.searchsorted(time - 2 * DAY):events.time.searchsorted(time)]
        first = naive.combine(naive.event(user, item, time), naive.hash_id(0))
        drawn = [pool[int(naive.fraction(naive.mix((first + k) & naive.MASK)) * len(pool))] for k in range(15)]
        new = dict.fromkeys(other for other in drawn if known.get((user, other), time + 1) > time)
        expected.update([(user, item, 1.0), *((user, other, 0.0) for other in list(new)[:3])])
    assert Counter(_impressions(implicit_dataset, "validation")) == expected
    counts = implicit_dataset.info["counts"]["impressions"]
    assert counts["read"] == counts["written"] + counts["filtered"]
    assert counts["sampled_negatives"] > 2 * counts["written"]
    assert counts["filtered_by"]["repeated engagements"] > 0


def test_negatives_do_not_depend_on_batches_and_buckets(implicit_dataset, planted_logs, tmp_path):
    build(_implicit(), planted_logs, tmp_path / "out", ["--buckets=3", "--read_batch_rows=777"])
    assert Dataset.open(tmp_path / "out").info == implicit_dataset.info


def test_another_seed_draws_other_negatives(implicit_dataset, planted_logs, tmp_path):
    build(_implicit(seed=1), planted_logs, tmp_path / "out")
    first, second = (Counter(_impressions(dataset, "test"))
                     for dataset in (implicit_dataset, Dataset.open(tmp_path / "out")))
    assert {row for row in first if row[2]} == {row for row in second if row[2]}
    assert {row for row in first if not row[2]} != {row for row in second if not row[2]}


def test_a_window_of_repeats_only_is_refused(planted_logs, tmp_path):
    table = pq.read_table(planted_logs / "engagements.parquet").combine_chunks()
    again = table.filter(pc.less(table["day"], 20)).slice(0, 5).to_pandas()
    again = [again.assign(day=day, ts=again.ts + pd.Timedelta(days=day)) for day in (21, 28, 31)]
    before = table.filter(pc.less(table["day"], 20)).to_pandas()
    pd.concat([before, *again]).to_parquet(tmp_path / "engagements.parquet")
    for name in ("items", "users"):
        (tmp_path / f"{name}.parquet").write_bytes((planted_logs / f"{name}.parquet").read_bytes())
    with pytest.raises(UserError, match=r"window train has no positive: .* Set dataset.implicit_feedback.repeats="):
        build(_implicit(), tmp_path, tmp_path / "out")


def test_times_without_a_unit_are_refused(planted_logs, tmp_path):
    tree = _implicit().model_dump(mode="json", by_alias=True)
    tree["schema"]["time"] = "day"
    with pytest.raises(UserError, match=r"column 'day' of engagements has integers without a unit: set "
                                        r"dataset.sources.engagements.time_unit, or store timestamps"):
        build(Config.model_validate(tree), planted_logs, tmp_path / "out")


@pytest.mark.parametrize(("section", "change", "message"), [
    ("dataset", {"negative_sampling": {"rate": 0.5}}, "implicit_feedback adds negatives and negative_sampling removes"),
    ("dataset", {"sources": {"impressions": {"path": "x.csv", "labels": {"clicked": "n > 1"}}}},
     "the impressions are positives only: select them by sources.impressions.where"),
    ("schema", {"labels": ["liked"]}, "negatives that are sampled by dataset.implicit_feedback have no further labels"),
])
def test_contradictory_settings_are_refused(section, change, message):
    tree = _implicit().model_dump(mode="json", by_alias=True)
    tree[section] |= change
    with pytest.raises(ValueError, match=message):
        Config.model_validate(tree)
