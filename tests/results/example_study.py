"""An example study: predictions and manifests in the format of the stages, without training."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tfrs_pretrain.artifact_names import DATASET_INFO
from tfrs_pretrain.artifacts import write_manifest
from tfrs_pretrain.config import load_config
from tfrs_pretrain.embeddings.artifact import save_embeddings
from tfrs_pretrain.study import Failure, Run, StudiedArm, Study, Trial
from tfrs_pretrain.vocabulary import Vocabulary

USERS, ITEMS, ROWS = 50, 200, 2500
SEEDS = (1, 2, 3)
# Standard deviation of the noise that each arm adds to the true log-odds.
NOISE = {"scratch": 1.5, "warm": 0.8, "distilled": 0.8, "copy": 1.5}
CONFIG = load_config("completejourney", ["ranking.arms={scratch: {}, warm: {transfer: warm_start}}", "export.arm=warm"])
CATEGORIES = ("bread", "milk", "tea")


def impressions(seed=0, rows=ROWS):
    """Return the columns of predictions without the score, and the log-odds of the labels."""
    random = np.random.default_rng(seed)
    user, item = random.integers(0, USERS, rows), random.integers(0, ITEMS, rows)
    logits = random.normal(-1.5, 1.0, rows)
    return {
        "key": random.permutation(10**6)[:rows], "user_id": user * 3, "item_id": item * 7, "user": user, "item": item,
        "label": (random.random(rows) < 1 / (1 + np.exp(-logits))).astype(np.float32),
        "user_count": np.where(user < 10, 2, 30), "item_count": np.maximum(item - 20, 0),
        "feature.department": pa.DictionaryArray.from_arrays((item % 3).astype(np.int32), list(CATEGORIES)),
        "feature.brand": pa.DictionaryArray.from_arrays((item % 2).astype(np.int32), ["own", "(unknown)"]),
    }, logits


def metrics(log_loss):
    return {"auc": 0.8, "gauc": 0.78, "log_loss": log_loss, "calibration": 1.01}


def write_ranker(folder, arm, seed, *, columns, logits, epochs=2, dataset="d" * 64, **settings):
    random = np.random.default_rng(100 * seed + sum(map(ord, arm)) % 90 if arm != "copy" else 100 * seed)
    noise = np.random.default_rng(seed).normal(0, 1, len(logits))  # shared by the arms of one seed
    own = random.normal(0, 0.05, len(logits))
    scores = 1 / (1 + np.exp(-(logits + NOISE[arm] * noise + own)))
    (folder / "predictions").mkdir(parents=True)
    (folder / "tables").mkdir()
    np.save(folder / "tables" / "item.npy", np.random.default_rng(seed).normal(size=(ITEMS, 8)).astype(np.float32))
    table = pa.table(columns | {"score": scores.astype(np.float32)})
    for split in ("validation", "test"):
        pq.write_table(table, folder / "predictions" / f"{split}.parquet")
    start = {"transfer": "scratch", "distillation": None} | settings
    write_manifest(folder, "ranker", {
        "arm": arm, "dataset_digest": dataset, "transfer": start["transfer"],
        "embeddings": None if start["transfer"] == "scratch" else {"tables": {}}, "coverage": {}, "best_epoch": 1,
        "config": {"ranking": {"arms": {arm: start}}}, "metrics": {"validation": metrics(0.3 + 0.1 * NOISE[arm])},
        "epochs": [{"epoch": epoch, "examples": 1000, "train": {"loss": 0.4 / epoch},
                    "validation": metrics(0.3 + 0.01 * epoch)} for epoch in range(1, epochs + 1)],
        "seconds": 3.0, "examples_per_second": 1e4,
        "inputs": {"rows": [{"column": "user", "table": "user"}, {"column": "item", "table": "item"}]}})
    return folder


def write_rows(folder, seed, epochs=3):
    """Write pretrained rows whose first columns are the item's category."""
    rows = np.random.default_rng(seed).normal(0, 0.1, (ITEMS, 8)).astype(np.float32)
    rows[np.arange(ITEMS), np.arange(ITEMS) % 3] += 1
    vocabulary = Vocabulary(pa.array(np.arange(ITEMS - 1)), np.ones(ITEMS - 1, np.int64), 1)
    config = CONFIG.resolved()
    save_embeddings(folder, {"item": rows}, {"item": vocabulary}, {
        "config": config, "window": config["windows"]["pretrain"], "kept_epoch": epochs, "replicas": 1, "epochs": [
            {"epoch": epoch, "train_loss": None if epoch == 0 else 7.0 - epoch, "heldout_loss": 8.0 - epoch + seed,
             "recall@10": 0.01 * epoch, "recall@50": 0.03 * epoch, "seconds": 2.0} for epoch in range(epochs + 1)]},
        overwrite=False)
    return folder


def write_dataset(folder, *overrides):
    splits = {f"pairs/{name}": {"examples": 500, "oov_user_share": 0.1, "oov_item_share": 0.2} for name in
              ("train", "heldout")}
    splits |= {f"impressions/{name}": {"examples": ROWS, "oov_user_share": 0.1, "oov_item_share": 0.2,
                                       "label_rate": 0.25} for name in ("train", "validation", "test")}
    folder.mkdir(parents=True)
    config = load_config("completejourney", list(overrides)).resolved()
    write_manifest(folder, "dataset", {
        "config": config, "splits": splits, "vocabularies": {"item": {"rows": ITEMS, "oov_rows": 1}},
        "counts": {"impressions": {"read": 9000, "written": 7500, "filtered": 1400, "rejected": {"null user": 100}}},
    }, name=DATASET_INFO)
    return folder


def write_example(folder, **changes):
    """Write arms scratch, warm and distilled with three seeds, and broken, whose runs failed."""
    columns, logits = impressions()
    dataset = write_dataset(folder / "dataset")
    rows = {seed: write_rows(folder / f"rows-{seed}", seed) for seed in SEEDS}
    settings = {"scratch": {}, "warm": {"transfer": "warm_start"},
                "distilled": {"transfer": "warm_start", "distillation": {
                    "teacher": {"kind": "online", "hidden": [8]}, "weight": 0.3}}}
    arms = [StudiedArm(
        name, {f"arm.{key}": value for key, value in chosen.items()},
        [Run(seed, write_ranker(folder / f"{name}-{seed}", name, seed, columns=columns, logits=logits, **chosen),
             rows[seed] if chosen else None, dataset) for seed in SEEDS]) for name, chosen in settings.items()]
    arms[0] = StudiedArm("scratch", {"arm.epochs": 2}, arms[0].runs, [
        Trial({"arm.epochs": epochs, "arm.transfer": "scratch"}, 1, {"auc": 0.7, "log_loss": 0.5 - 0.1 * (epochs == 2)})
        for epochs in (1, 2, 3)])
    arms.append(StudiedArm("broken", {"arm.table_learning_rate": 9.0}, [], (), [Failure(1, "the loss is not finite")]))
    return Study(**{"folder": folder, "title": "example", "config": CONFIG, "baseline": "scratch", "arms": arms,
                    "seconds": {"stage_two": 40.0, "stage_one": 2.0}, "peak_rss_bytes": 10**9,
                    "commands": ["tfrs-pretrain experiment x.yaml"], "test_evaluations": {"scratch": 2}, **changes})
