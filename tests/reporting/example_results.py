"""Example results in the format that ``tfrs_pretrain.results`` documents."""

import copy

from tfrs_pretrain.config import load_config
from tfrs_pretrain.evaluation.verdict import RULE, verdict

# Explicit settings, so that a change of the demo's configuration changes no expectation.
CONFIG = load_config("completejourney", [
    "ranking.arms={scratch: {}, warm_start: {transfer: warm_start}, warm_start_distilled: {transfer: warm_start, "
    "distillation: {teacher: {hidden: [512, 256, 128]}, weight: 0.5}}}",
    "export.arm=warm_start_distilled", "pretraining.objective.normalize=true"])
BUCKETS = ("0", "1-4", "5-19", "20-99", "100+")
SEEDS = (17, 18, 19)


def change(metric, value, margin, seeds=None):
    """Return a difference; ``margin`` and ``seeds`` are half the widths of the intervals by user and over seeds."""
    if value is None:
        return {"value": None, "by_seed": None, "users": None, "seeds": None, "verdict": "undefined", "p_users": None,
                "p_seeds": None, "p": None, "p_corrected": None, "holds": False}
    intervals = [[value - one, value + one] for one in (margin, seeds) if one is not None]
    return {"value": value, "by_seed": [value - 1e-3, value, value + 1e-3] if seeds else [value],
            "users": intervals[0] if intervals else None, "seeds": intervals[1] if seeds else None,
            "verdict": (found := verdict(metric, value, intervals)), "p_users": 0.002,
            "p_seeds": 0.004 if seeds else None, "p": 0.004 if seeds else 0.002, "p_corrected": 0.01,
            "holds": found in ("better", "worse")}


def comparison(arm, against, auc, log_loss, margin=1e-3, seeds=None):
    parts = [{"slice": bucket, "impressions": 1000 * (index + 1), "positives": 90, "users": 50,
              "auc": change("auc", auc * (index + 1) / 3, margin, seeds)} for index, bucket in enumerate(BUCKETS)]
    return {"arm": arm, "against": against, "seeds": list(SEEDS if seeds else SEEDS[:1]),
            "auc": change("auc", auc, margin, seeds), "log_loss": change("log_loss", log_loss, margin, seeds),
            "gauc": change("gauc", auc, 2 * margin, seeds),
            "slices": {"item_frequency": parts, "user_frequency": parts[1:3]}}


def metric(mean, seeds, spread=5e-4):
    by_seed = [mean - spread, mean, mean + spread] if seeds > 1 else [mean]
    return {"mean": mean, "by_seed": by_seed, "sd": spread if seeds > 1 else None,
            "users": [mean - 0.002, mean + 0.002]}


def arm(auc, log_loss, kind="scratch", seeds=1, epochs=1, **changes):
    """Return an arm whose validation loss rises from its second epoch on."""
    curve = [{"epoch": step / 2, "examples": 5000 * step, "train_loss": 0.5 - 0.01 * step,
              "auc": auc - 0.001 * abs(step - 2),
              "log_loss": log_loss + 0.01 * abs(step - 2)} for step in range(1, 2 * epochs + 1)]
    transfer = "warm_start" if kind == "two-stage" else "scratch"
    values = {"auc": auc, "gauc": auc - 0.02, "log_loss": log_loss, "normalized_entropy": log_loss / 0.345,
              "calibration": 1.021}
    slices = [{"slice": bucket, "impressions": 1000 * (index + 1), "positives": 90, "users": 50,
               "auc": auc - 0.1 + 0.03 * index} for index, bucket in enumerate(BUCKETS)]
    return {
        "settings": {} if kind == "scratch" else {"arm.transfer": "warm_start"}, "seeds": list(SEEDS[:seeds]),
        "test_evaluations": 1, "trials": [], "failures": [], "kind": kind,
        "transfer": {"user": transfer, "item": transfer},
        "remedies": [], "teacher": None, "test_auc": auc, "test_log_loss": log_loss, "test_gauc": auc - 0.02,
        "test": {name: metric(value, seeds) for name, value in values.items()},
        "slices": {"item_frequency": slices, "user_frequency": slices[1:3]},
        "validation": {name: metric(values[name] + 1e-3, seeds) for name in ("auc", "log_loss", "gauc", "calibration")},
        "coverage": {} if kind != "two-stage" else {"test": {
            "user_impressions": 0.987, "user_ids": 0.95, "item_impressions": 0.912, "item_ids": 0.61,
            "impressions": 0.903}},
        "seconds": 31.5, "examples_per_second": 34_000.0,
        "runs": [{"seed": seed, "ranker": f"ranking/{seed}", "dataset": "dataset", "embeddings": None, "epochs": epochs,
                  "best_epoch": epochs, "curve": curve, "examples_per_epoch": 10_000, "seconds": 31.5,
                  "training_loss": log_loss + 0.01} for seed in SEEDS[:seeds]],
        **changes}


def bins(offset):
    return [{"score": 0.01 * 2**index, "rate": 0.01 * 2**index + offset, "count": 1000} for index in range(6)]


def split(examples, **rates):
    return {"examples": examples, "oov_user_share": 0.0123, "oov_item_share": 0.0871, **rates}


RESOLVED = CONFIG.resolved()
DATA = {
    "arms": ["scratch"], "differs": {}, "config": {name: RESOLVED[name] for name in ("windows", "schema", "dataset")},
    "counts": {"engagements": {"read": 1_469_307, "written": 801_234, "rejected": {}, "filtered": 668_073},
               "impressions": {"read": 2_855_403, "written": 1_310_002, "filtered": 1_545_360,
                               "rejected": {"null user": 40, "label outside 0 and 1": 1}}},
    "splits": {"pairs/train": split(785_210), "pairs/heldout": split(16_024),
               "impressions/train": split(680_111, label_rate=0.1111),
               "impressions/validation": split(91_000, label_rate=0.1093),
               "impressions/test": split(538_891, label_rate=0.1095)},
    "vocabularies": {"user": {"rows": 2473, "oov_rows": 4, "digest": "a" * 64, "dtype": "int64"},
                     "item": {"rows": 61_717, "oov_rows": 64, "digest": "b" * 64, "dtype": "int64"},
                     "brand": {"rows": 4, "oov_rows": 1, "digest": "c" * 64, "dtype": "string"}}}
STAGE_ONE = {
    "heldout_loss": [6.42, 6.13, 6.01], "heldout_loss_before_training": 7.61, "settings": [{
        "differs": {}, "arms": ["warm_start"], "seeds": 1, "kept_epoch": 3, "replicas": 2, "seconds": 47.5,
        "pretraining": RESOLVED["pretraining"], "window": RESOLVED["windows"]["pretrain"],
        "tables": {"user": {"shape": [2473, 64], "dtype": "float32", "vocabulary_digest": "a" * 64},
                   "item": {"shape": [61_717, 64], "dtype": "float32", "vocabulary_digest": "b" * 64}},
        "epochs": [{"epoch": epoch, "train_loss": None if epoch == 0 else loss - 0.2, "heldout_loss": loss,
                    "heldout_loss_by_seed": [loss], "recall@10": recall, "recall@50": 3 * recall}
                   for epoch, (loss, recall) in enumerate([
                       (7.61, 0.0004), (6.42, 0.021), (6.13, 0.034), (6.01, 0.041)])]}]}
MAP = {
    "feature": "department", "values": 3, "most_values": 40, "items": 900, "drawn": 6, "neighbours": 10,
    "least_engagements": 5, "chance": 0.31, "categories": ["bread", "milk"], "category": [0, 1, -1, 0, 1, 0],
    "maps": [{"title": title, "purity": purity, "dim": 64, "explained": [0.1, 0.05],
              "x": [0.1, 0.2, -0.3, 0.4, -1.0, 0.6],
              "y": [0.5, -0.4, 0.3, 0.2, 0.1, 0.0]} for title, purity in (("Stage I", 0.82), ("scratch", 0.33))]}
DIAGNOSIS = {
    "verdict": "sharp drop at the epoch border", "confidence": 1.0, "held_out_impressions": 32_768,
    "advice": ["sharp drop at the epoch border (confidence 100%)", "caused by user ids"],
    "controls": {name: {"before": 0.605, "border": rise, "border_low": rise - 0.003, "border_high": rise + 0.003,
                        "end": rise, "verdict": "none", "epoch": [0.5, 1.0, 1.5, 2.0],
                        "log_loss": [0.62, 0.605, 0.605 + rise, 0.63],
                        "auc": [0.6, 0.7, 0.69, 0.68]}
                 for name, rise in (("as configured", 0.0287), ("without user ids", 0.0027))}}


def results(**changes):
    """Return the results of a demo: one seed, three arms, an exported model."""
    taught = {"teacher": {"kind": "online", "hidden": [512, 256, 128]}, "weight": 0.5}
    arms = {"scratch": arm(0.8775, 0.2723), "warm_start": arm(0.9041, 0.2501, "two-stage"),
            "warm_start_distilled": arm(0.9058, 0.2484, "two-stage", teacher=taught)}
    content = {
        "format": 4, "title": "Contrastive ID pretraining, then ranking", "name": "completejourney_ranker",
        "code_version": "0.1.0", "baseline": "scratch", "headline": "warm_start_distilled", "shown": list(arms),
        "seeds": [17], "test_impressions": 538_891, "test_positives": 59_000, "notes": [], "arms": arms,
        "comparisons": [comparison("warm_start", "scratch", 0.0266, -0.0222),
                        comparison("warm_start_distilled", "scratch", 0.0283, -0.0239),
                        comparison("warm_start_distilled", "warm_start", 0.0007, -0.0017)],
        "multiplicity": {"pairs": 3, "differences": 9, "differences_by_slice": 21, "expected_by_chance": 1.5,
                         "correction": "Holm", "families": {"baseline": 2, "twins": 1}},
        "benefit": None,
        "resampling": {"unit": "user", "replicates": 400, "confidence": 0.95, "rule": RULE}, "stage_one": STAGE_ONE,
        "calibration": {"scratch": bins(0.004), "warm_start": bins(0.0)}, "embedding_map": MAP, "diagnosis": None,
        "data": [DATA], "exposures": "Promoted products of the store and week count as seen.", "config": RESOLVED,
        "machines": [{"processor": "some processor", "cores": 2, "memory_bytes": 24 * 10**9, "tensorflow": "2.21.0",
                      "python": "3.11.7", "artifacts": 5}],
        "seconds": {"data": 42.0, "stage_one": 47.5, "stage_two": 101.2, "export": 6.1, "total": 196.8},
        "peak_rss_bytes": 3_100_000_000, "commands": ["tfrs-pretrain demo --workdir NEW"],
        "exported": {"name": "completejourney_ranker", "version": 3, "arm": "warm_start_distilled", "bytes": 19_400_000,
                     "path": "saved_models/completejourney_ranker/3",
                     "check": {"impressions": 256, "tolerance": 1e-5, "largest_difference": 1.2e-7, "signatures": {
                         "rank": {"requests": 4, "rows": 120, "largest_difference": 1.2e-7}}}}}
    return copy.deepcopy(content | changes)


def many(count=30):
    """Return the results of an experiment: many arms, three seeds, two settings of Stage I, a diagnosis."""
    kinds = ("scratch", "one-epoch remedy", "two-stage")
    arms = {f"arm_{index:02}": arm(0.80 + 0.002 * index, 0.30 - 0.001 * index, kinds[index % 3], 3, 1 + index % 3)
            for index in range(count)}
    arms["arm_01"]["trials"] = [{"settings": {"arm.interval_decay": rate, "arm.epochs": 2}, "seed": 17,
                                 "chosen": rate == 0.2,
                                 "validation": {"auc": 0.8, "log_loss": rate}} for rate in (0.2, 0.4)]
    arms["lost"] = {"settings": {"arm.epochs": 9}, "seeds": [], "test_evaluations": None, "trials": [],
                    "failures": [{"seed": 18, "reason": "killed by signal 9"}]}
    longer = copy.deepcopy(STAGE_ONE["settings"][0]) | {"differs": {"pretraining.epochs": 12}, "seeds": 3}
    data = DATA | {"differs": {"windows.pretrain.end": 29}, "arms": ["arm_05"]}
    return results(
        arms=arms, baseline="arm_00", headline="arm_29", exported=None, exposures=None, seeds=list(SEEDS),
        shown=["arm_00", "arm_01", "arm_02", "arm_29"], diagnosis=DIAGNOSIS, data=[DATA, data],
        comparisons=[comparison(name, "arm_00", 0.002 * index - 0.02, -0.001 * index, 1e-3, 3e-3)
                     for index, name in enumerate(arms) if name not in ("arm_00", "lost")],
        stage_one=STAGE_ONE | {"settings": [*STAGE_ONE["settings"], longer]},
        calibration={"arm_00": bins(0.004), "arm_29": bins(0.0)},
        seconds={"stage I": 60.0, "stage II": 900.0, "total": 700.0})
