"""A configuration of the planted logs, sized for tests."""

from __future__ import annotations

from typing import Any

from tfrs_pretrain.experiments.logs.planted import DAYS, PRETRAIN_DAYS, TRAIN_DAYS, VALIDATION_DAYS


def planted_config(**sections: Any) -> dict[str, Any]:
    """Return a configuration tree for the planted logs, sized for tests; ``sections`` replace whole sections."""
    return {
        "name": "planted_ranker",
        "seed": 7,
        "schema": {
            "user": {"column": "member", "dtype": "int64", "oov_rows": 2},
            "item": {"column": "item", "dtype": "string", "oov_rows": 8},
            "time": "ts", "window": "day", "label": "clicked",
            "features": [
                {"name": "surface", "source": "impressions", "kind": "categorical", "dtype": "string"},
                {"name": "dwell", "source": "impressions", "kind": "numeric", "dtype": "float32", "privileged": True},
                {"name": "topic", "source": "items", "column": "topic_id", "kind": "categorical", "dtype": "int64"},
                {"name": "quality", "source": "items", "kind": "numeric", "dtype": "float32"},
                {"name": "country", "source": "users", "kind": "categorical", "dtype": "string"},
            ],
        },
        "windows": {
            "pretrain": {"start": 0, "end": PRETRAIN_DAYS}, "train": {"start": PRETRAIN_DAYS, "end": TRAIN_DAYS},
            "validation": {"start": TRAIN_DAYS, "end": VALIDATION_DAYS},
            "test": {"start": VALIDATION_DAYS, "end": DAYS},
        },
        "dataset": {"shards": 2, "heldout_fraction": 0.05, "pairs_per_block": 256, "golden_examples": 32},
        "pretraining": {"dim": 8, "epochs": 3, "batch_size": 256, "learning_rate": 0.02,
                        "objective": {"kind": "softmax", "temperature": 0.2}},
        "ranking": {
            "hidden": [16], "feature_dim": 4, "id_dim": 8, "batch_size": 128, "learning_rate": 0.01,
            "table_learning_rate": 0.01,
            "arms": {
                "scratch": {"transfer": "scratch"},
                "warm_start": {"transfer": "warm_start"},
                "warm_start_distilled": {"transfer": "warm_start", "distillation": {"teacher": {"hidden": [32]}}},
            },
        },
        "export": {"arm": "warm_start_distilled"},
    } | sections
