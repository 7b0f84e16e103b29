"""The manifests of a made-up run, in the form that the stages write them."""

import copy

import pytest

from tfrs_pretrain.config import load_config


def metrics(auc, log_loss, impressions=539_000, positives=59_000):
    return {"impressions": impressions, "positives": positives, "auc": auc, "gauc": auc - 0.02, "log_loss": log_loss,
            "normalized_entropy": log_loss / 0.345, "calibration": 1.021}


def change(value, margin):
    return {"value": value, "low": value - margin, "high": value + margin, "p": 0.002}


def ranker(name, auc, log_loss, transfer, buckets):
    slices = [{"slice": bucket, "first": 0, "last": None, **metrics(value, log_loss, 1000 * (place + 1), 90)}
              for place, (bucket, value) in enumerate(zip(("0", "1-4", "5-19", "20-99", "100+"), buckets, strict=True))]
    covered = {"user_impressions": 0.987, "user_ids": 0.95, "item_impressions": 0.912, "item_ids": 0.61,
               "impressions": 0.903}
    losses = {"loss": log_loss + 0.01}
    if name.endswith("distilled"):
        losses = {"loss": 0.5, "hard": log_loss + 0.02, "soft": 0.7, "teacher": 0.2, "soft_weight": 0.5}
    return {"kind": "ranker", "code_version": "0.1.0", "arm": name, "transfer": transfer,
            "metrics": {"validation": metrics(auc + 0.001, log_loss), "test": metrics(auc, log_loss)},
            "slices": {"validation": slices, "test": slices},
            "coverage": {"validation": covered, "test": covered} if transfer == "warm_start" else None,
            "epochs": [{"epoch": 1, "train": losses, "validation": metrics(auc, log_loss),
                        "seconds": 20.0, "examples_per_second": 34_000.0}],
            "seconds": 31.5, "peak_rss_bytes": 2_400_000_000, "examples_per_second": 34_000.0}


def split(examples, **rates):
    return {"examples": examples, "shards": [], "oov_user_share": 0.0123, "oov_item_share": 0.0871, **rates}


# What the tests read is fixed here, so that tuning the demo moves no expectation.
CONFIG = load_config("completejourney", [
    "ranking.arms={scratch: {}, warm_start: {transfer: warm_start}, warm_start_distilled: {transfer: warm_start, "
    "distillation: {hidden: [512, 256, 128], weight: 0.5}}}",
    "export.arm=warm_start_distilled", "pretraining.log_q=true"])
RUN = {
    "logs": {"kind": "logs", "exposures": "Promoted products of the store and week count as seen."},
    "dataset_info": {
        "config": CONFIG.resolved(),
        "counts": {"engagements": {"read": 1_469_307, "written": 801_234, "rejected": {}, "filtered": 668_073},
                   "impressions": {"read": 2_855_403, "written": 1_310_002, "filtered": 1_545_360,
                                   "rejected": {"null user": 40, "label outside 0 and 1": 1}}},
        "splits": {"pairs/train": split(785_210), "pairs/heldout": split(16_024),
                   "impressions/train": split(680_111, label_rate=0.1111),
                   "impressions/validation": split(91_000, label_rate=0.1093),
                   "impressions/test": split(538_891, label_rate=0.1095)},
        "vocabularies": {"user": {"rows": 2473, "oov_rows": 4, "digest": "a" * 64, "dtype": "int64"},
                         "item": {"rows": 61_717, "oov_rows": 64, "digest": "b" * 64, "dtype": "int64"},
                         "brand": {"rows": 4, "oov_rows": 1, "digest": "c" * 64, "dtype": "string"}},
    },
    "embeddings_manifest": {
        "kind": "embeddings", "code_version": "0.1.0", "kept_epoch": 3, "replicas": 2, "epochs": [
            {"epoch": epoch, "train_loss": None if epoch == 0 else loss - 0.2, "heldout_loss": loss,
             "recall@10": recall, "recall@50": 3 * recall, "seconds": 5.0}
            for epoch, (loss, recall) in enumerate([(7.61, 0.0004), (6.42, 0.021), (6.13, 0.034), (6.01, 0.041)])],
        "tables": {"user": {"shape": [2473, 64], "dtype": "float32", "vocabulary_digest": "a" * 64},
                   "item": {"shape": [61_717, 64], "dtype": "float32", "vocabulary_digest": "b" * 64}},
    },
    "ranker_manifests": {
        "scratch": ranker("scratch", 0.8775, 0.2723, "scratch", [0.71, 0.74, 0.80, 0.86, 0.89]),
        "warm_start": ranker("warm_start", 0.9041, 0.2501, "warm_start", [0.72, 0.79, 0.86, 0.90, 0.91]),
        "warm_start_distilled": ranker("warm_start_distilled", 0.9058, 0.2484, "warm_start",
                                       [0.72, 0.80, 0.87, 0.905, 0.912]),
    },
    "export_manifest": {"name": "completejourney_ranker", "version": 3, "arm": "warm_start_distilled",
                        "bytes": 19_400_000, "path": "saved_models/completejourney_ranker/3",
                        "check": {"impressions": 256, "tolerance": 1e-5, "largest_difference": 1.2e-7}},
    "results": {"differences": [
                    {"arm": "warm_start", "against": "scratch", "auc": change(0.0266, 0.0011),
                     "log_loss": change(-0.0222, 0.001), "gauc": change(0.0266, 0.002),
                     "slices": [{"slice": "1-4", "auc": change(0.05, 0.01)}]},
                    {"arm": "warm_start_distilled", "against": "scratch", "auc": change(0.0283, 0.0012),
                     "log_loss": change(-0.0239, 0.001), "gauc": change(0.0283, 0.002)},
                    {"arm": "warm_start_distilled", "against": "warm_start", "auc": change(0.0017, 0.0021),
                     "log_loss": change(-0.0017, 0.0005), "gauc": change(0.0017, 0.002)}],
                "resampling": {"unit": "user", "replicates": 400, "confidence": 0.95},
                "seconds": {"data": 42.0, "stage_one": 47.5, "stage_two": 101.2, "export": 6.1, "total": 196.8},
                "peak_rss_bytes": 3_100_000_000},
}


@pytest.fixture
def run_manifests():
    """Keyword arguments of ``write_report``, free to change."""
    return copy.deepcopy(RUN)
