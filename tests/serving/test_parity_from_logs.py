"""Parity of raw logs -> Beam -> TFRecord -> trained ranker with the same raw values -> every scoring signature."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from beam_pipelines import build_impressions
from tfrs_pretrain.artifact_names import DATASET_INFO
from tfrs_pretrain.artifacts import read_manifest
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.data.impressions import evaluation_batches
from tfrs_pretrain.features.raw_input import RawInput
from tfrs_pretrain.ranking.model.artifact import load_ranker
from tfrs_pretrain.serving.exporting.prediction_logs import serialize_examples
from tfrs_pretrain.serving.session import LoadedModel

pytestmark = pytest.mark.slow
DAY, SECOND = 31, 1_000_000
TEXT = st.one_of(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12),
                 st.sampled_from(["Perú", "日本", "e\u0301", "\x00", " ", "x" * 300, "Thema 2", "neu", "home"]))
WHOLE = st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(-1, 9))
ITEM = st.one_of(TEXT, st.integers(0, 450).map(lambda number: f"ítem-{number}"))
ROWS = st.lists(st.fixed_dictionaries({
    "user_id": st.one_of(st.integers(0, 350).map(lambda number: number * 17 + 1000), st.integers(0, 2**63 - 1)),
    "item_id": ITEM,
    "surface": st.one_of(TEXT, st.just(""), st.none()),
    "country": st.one_of(TEXT, st.just(""), st.none()),
    "topic": st.one_of(WHOLE, st.none()),
    "quality": st.one_of(st.floats(), st.floats(-5, 5), st.none()),
    "tags": st.one_of(st.lists(st.one_of(TEXT, st.just(""), st.none()), max_size=6), st.none()),
    "codes": st.lists(WHOLE, max_size=4),
    "history": st.lists(ITEM, max_size=9),
}), min_size=20, max_size=30, unique_by=(lambda row: row["user_id"], lambda row: row["item_id"]))
INPUTS = {"user_id": RawInput("int64"), "item_id": RawInput("string"), "surface": RawInput("string"),
          "country": RawInput("string"), "topic": RawInput("int64"), "quality": RawInput("float32"),
          "tags": RawInput("string", 3), "codes": RawInput("int64", 2), "history": RawInput("string", 6)}


def as_float32(values):
    """Values that are too large become infinite."""
    with np.errstate(over="ignore"):
        return np.array([np.nan if value is None else value for value in values]).astype(np.float32)


def write_raw_logs(rows, known, folder):
    """Writes the fixture's logs, so that no window is empty, and one impression per row with its own user and item."""
    folder.mkdir()
    start = np.datetime64("2024-03-01", "us") + np.timedelta64(DAY, "D")

    def column(name):
        return [row[name] for row in rows]

    impressions = pq.read_table(known / "impressions.parquet").filter(pa.compute.field("day") < 30)
    impressions = impressions.take(np.arange(0, impressions.num_rows, 20))
    own = pa.table({
        "day": pa.array([DAY] * len(rows), pa.int32()), "ts": pa.array([start + place for place in range(len(rows))]),
        "member": pa.array(column("user_id"), pa.int64()), "item": column("item_id"),
        "surface": pa.array(column("surface"), pa.string()), "dwell": pa.array([0.0] * len(rows), pa.float32()),
        "clicked": pa.array([0] * len(rows), pa.int8()),
        "codes": ["|".join(map(str, codes)) for codes in column("codes")],
        "liked": [False] * len(rows), "shared": [False] * len(rows), "seen": [[0]] * len(rows)})
    pq.write_table(pa.concat_tables([impressions, own.cast(impressions.schema)]), folder / "impressions.parquet")
    items = pq.read_schema(known / "items.parquet")
    pq.write_table(pa.table({
        "item": column("item_id"), "topic_id": pa.array(column("topic"), pa.int64()),
        "quality": as_float32(column("quality")),
        "tags": pa.array(column("tags"), pa.list_(pa.string()))}).cast(items), folder / "items.parquet")
    pq.write_table(pa.table({"member": pa.array(column("user_id"), pa.int64()),
                             "country": pa.array(column("country"), pa.string())}), folder / "users.parquet")
    end = start - np.timedelta64(1, "us")  # in microseconds, as the impressions
    engagements = [(row["user_id"], item, end - np.timedelta64(len(row["history"]) - place, "s"))
                   for row in rows for place, item in enumerate(row["history"])]
    users, names, times = zip(*engagements, (2**62, "ítem-1", end), strict=True)  # one at least, of somebody else
    pq.write_table(pa.table({"day": pa.array([DAY - 1] * len(times), pa.int32()), "ts": pa.array(times),
                             "member": pa.array(users, pa.int64()), "item": pa.array(names)}),
                   folder / "engagements.parquet")


def recorded_scores(rows, kinds_dataset, ranker, folder):
    """{output: [n]}: scores of the records that the Beam job builds from the logs with the training vocabularies."""
    tree = kinds_dataset.info["config"]
    unlimited = dict.fromkeys(tree["dataset"]["min_coverage"], 0.0)  # most ids of the logs are unknown
    tree = {**tree, "dataset": {**tree["dataset"], "min_coverage": unlimited}}
    (folder / "config.yaml").write_text(yaml.safe_dump(tree))
    build_impressions.run([f"--config={folder / 'config.yaml'}", f"--raw={folder / 'raw'}",
                           f"--vocabulary={kinds_dataset.folder}", f"--output={folder / 'out'}"])
    recorded = Dataset(folder / "out", read_manifest(folder / "out", "impressions", name=DATASET_INFO))
    scores = {}
    for batch in evaluation_batches(recorded, "impressions/test", batch_size=1000):
        found = ranker.score(batch).numpy()
        scores |= dict(zip(batch["user_id"].numpy().tolist(), found, strict=True))
    return dict(zip(("score", "score_liked"), np.stack([scores[row["user_id"]] for row in rows]).T, strict=True))


def tensors(rows):
    """Requests of a client: the missing value where the log has no value."""
    missing = {"int64": -1, "string": "", "float32": float("nan")}
    columns = {}
    for name, of in INPUTS.items():
        values = [missing[of.dtype] if row[name] is None and not of.length else row[name] for row in rows]
        if of.length:
            values = [[missing[of.dtype] if value is None else value for value in each or []] for each in values]
            longest = max(map(len, values))
            values = [each + [missing[of.dtype]] * (longest - len(each)) for each in values]
        columns[name] = as_float32(values) if of.dtype == "float32" else np.array(
            values, np.int64 if of.dtype == "int64" else object).reshape(len(rows), *([-1] if of.length else []))
    return columns


@given(rows=ROWS)
@settings(deadline=None, max_examples=3, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
def test_raw_logs_are_scored_as_their_records(rows, kinds_dataset, kinds_ranker, kinds_export,
                                                             tmp_path_factory):
    folder = tmp_path_factory.mktemp("from_logs")
    write_raw_logs(rows, kinds_dataset.folder.parent, folder / "raw")
    expected = recorded_scores(rows, kinds_dataset, load_ranker(kinds_ranker[0], kinds_dataset), folder)
    columns = tensors(rows)
    with LoadedModel(kinds_export[0]) as served:
        answers = [served.run("serving_default", columns),
                   served.run("predict_examples", {"inputs": serialize_examples(columns, INPUTS)})]
        ranked = [served.run("rank", {name: values[place:place + 1] for name, values in columns.items()})
                  for place in range(len(rows))]
    answers.append({name: np.concatenate([one[name] for one in ranked]) for name in expected})
    for name, values in expected.items():
        for answer in answers:
            different = np.flatnonzero(~(np.abs(answer[name] - values) <= 1e-5))
            assert not len(different), [rows[place] for place in different]


