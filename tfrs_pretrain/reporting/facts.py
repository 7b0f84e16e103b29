"""Facts about the data, the tables and the served model, as the report's rows."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfrs_pretrain.config import Windows
from tfrs_pretrain.data.dataset import IMPRESSION_SPLITS, PAIR_SPLITS

FLOAT32_BYTES = 4


def log_rows(info: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Per log: rows read, kept, filtered and rejected, with the reasons."""
    return [{"name": name, "read": account["read"], "kept": account["written"], "filtered": account["filtered"],
             "rejected": sum(account["rejected"].values()),
             "reasons": ", ".join(f"{reason}: {rows:,}" for reason, rows in account["rejected"].items())}
            for name, account in info["counts"].items()]


def split_rows(info: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Per split: examples, share of positives (impressions only), shares of unknown users and items."""
    return [{"name": name, "examples": split["examples"], "label_rate": split.get("label_rate"),
             "oov_user": split.get("oov_user_share"), "oov_item": split.get("oov_item_share")}
            for name in (*PAIR_SPLITS, *IMPRESSION_SPLITS) for split in [info["splits"][name]]]


def coverage_rows(coverage: Mapping[str, Mapping[str, float | None]]) -> list[dict[str, Any]]:
    """Per ranking window: shares of impressions, then of distinct ids, that start at a pretrained row."""
    rows: list[dict[str, Any]] = []
    for split in (name.rpartition("/")[2] for name in IMPRESSION_SPLITS):
        shares = coverage.get(split, {})
        ordered = sorted(shares, key=lambda key: (key.endswith("_ids"), key))
        if shares:
            rows.append({"window": split, **{_coverage_name(key): shares[key] for key in ordered}})
    return rows


def _coverage_name(key: str) -> str:
    if key == "impressions":
        return "impressions, all rows"
    space, _, unit = key.rpartition("_")
    return f"distinct {space} ids" if unit == "ids" else f"{unit}, {space} row"


def table_rows(info: Mapping[str, Any], embeddings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Per pretrained table: its shape, shared rows, size in bytes and vocabulary digest."""
    return [{"name": name, "rows": table["shape"][0], "dim": table["shape"][1],
             "oov_rows": info["vocabularies"][name]["oov_rows"], "bytes": FLOAT32_BYTES * _product(table["shape"]),
             "digest": table["vocabulary_digest"]} for name, table in embeddings["tables"].items()]


def timeline(windows: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Per window: where it lies between the first start and the last end, in percent."""
    parsed = Windows.model_validate(windows)
    named = {name: getattr(parsed, name) for name in ("pretrain", "train", "validation", "test")}
    first = min(window.bounds[0] for window in named.values())
    length = max(window.bounds[1] for window in named.values()) - first
    return [{"name": name, "text": str(window), "left": round(100 * (window.bounds[0] - first) / length, 2),
             "width": round(100 * (window.bounds[1] - window.bounds[0]) / length, 2)}
            for name, window in named.items()]


def serving_commands(export: Mapping[str, Any]) -> list[str]:
    """Shell lines that start TensorFlow Serving on the exported model and ask it for its golden requests."""
    model = Path(export["path"]).parent
    name = shlex.quote(export["name"])
    golden = shlex.quote(str(Path(export["path"]) / "assets.extra" / "golden_requests.json"))
    return [
        f"docker run --rm -p 8501:8501 -e MODEL_NAME={name} \\",
        f"  -v {shlex.quote(str(model.resolve()))}:/models/{name} tensorflow/serving",
        "",
        "# in another shell: the answer holds the scores that the same file ends with",
        f"curl -d @{golden} http://localhost:8501/v1/models/{name}:predict",
    ]


def commands(workdir: Path, config: Mapping[str, Any]) -> list[str]:
    """Shell lines that run it all again, or one stage alone on the folders of this run."""
    exported = shlex.quote(config["export"]["arm"])
    folder = shlex.quote(str(workdir))
    return [
        "# all of it, in a new folder",
        f"tfrs-pretrain demo --config {folder}/config.yaml --workdir NEW",
        "",
        "# one stage alone, on what this run left",
        f"tfrs-pretrain dataset --config {folder}/config.yaml --raw {folder}/logs --output NEW/dataset",
        f"tfrs-pretrain pretrain --dataset {folder}/dataset --output NEW/embeddings",
        *(f"tfrs-pretrain rank --dataset {folder}/dataset --embeddings {folder}/embeddings --arm {shlex.quote(arm)} "
          f"--output NEW/ranking/{shlex.quote(arm)}" for arm in config["ranking"]["arms"]),
        f"tfrs-pretrain export --dataset {folder}/dataset --ranker {folder}/ranking/{exported}",
        f"tfrs-pretrain report --workdir {folder}",
    ]


def _product(shape: list[int]) -> int:
    rows, columns = shape
    return rows * columns
