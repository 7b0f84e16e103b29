"""dataset_info.json: what was built, from the results that the jobs left in the folder."""

from typing import Any

import numpy as np

from beam_pipelines.files import read_json
from beam_pipelines.job import RESULTS, Job, Log
from beam_pipelines.shards import splits_summary
from beam_pipelines.vocabularies import Vocabularies
from tfrs_pretrain.errors import UserError


def rows_read(job: Job, log: Log) -> int:
    """Rows of a log, once its account is written."""
    return int(read_json(job.path(RESULTS, f"account-{log.table}.json"))["read"])


def check_windows(job: Job) -> None:
    """Checks that each window holds rows, once the accounts are written.

    Raises:
      UserError: names the window, its bounds and the range found in the data.
    """
    for log in (job.engagements, job.impressions):
        account = read_json(job.path(RESULTS, f"account-{log.table}.json"))
        for split, window in log.windows.items():
            if not account["kept"].get(split):
                raise UserError(f"window {split} {window} of column {job.schema.window!r} holds no usable row of table "
                                f"{log.table}: {_found(account, window.temporal)}. Correct windows.{split} or the "
                                "table")


def _found(account: dict[str, Any], temporal: bool) -> str:
    if account["low"] is None:
        return f"{account['read']} rows were read, none with a value in that column"
    low, high = (f"{np.datetime64(account[end], 'us') if temporal else account[end]}" for end in ("low", "high"))
    return f"the values found range from {low} to {high}; {sum(account['rejected'].values())} rows were rejected"


def dataset_info(job: Job) -> dict[str, Any]:
    """Everything the manifest says; equal inputs and configuration give equal content."""
    splits = {name: split for table in ("pairs", "impressions")
              for name, split in splits_summary(read_json(job.path(RESULTS, f"{table}.json"))).items()}
    numeric = {feature.name: read_json(job.path(RESULTS, f"numeric-{feature.name}.json"))
               for feature in job.schema.of_kind("numeric", privileged=True)}
    counts = {log.table: _counts(job, log, splits, prefix)
              for log, prefix in ((job.engagements, "pairs/"), (job.impressions, "impressions/"))}
    return {
        "config": job.config.resolved(), "numeric": numeric, "counts": counts,
        "splits": {name: _rates(split) for name, split in splits.items()},
        "vocabularies": Vocabularies.load(job).describe(),
    }


def _counts(job: Job, log: Log, splits: dict[str, Any], prefix: str) -> dict[str, Any]:
    account = read_json(job.path(RESULTS, f"account-{log.table}.json"))
    written = sum(split["examples"] for name, split in splits.items() if name.startswith(prefix))
    if account["read"] != written + sum(account["rejected"].values()) + account["filtered"]:
        raise UserError(f"table {log.table}: {account['read']} rows were counted but {written} written, "
                        f"{account['rejected']} rejected and {account['filtered']} filtered: the files changed while "
                        "the job ran; run it again")
    return {"read": account["read"], "written": written, "rejected": account["rejected"],
            "filtered": account["filtered"]}


def _rates(split: dict[str, Any]) -> dict[str, Any]:
    measures, examples = split["measures"], max(split["examples"], 1)
    names = {"positives": "label_rate", "oov_users": "oov_user_share", "oov_items": "oov_item_share"}
    rates = {names[name]: count / examples for name, count in measures.items()}
    return {"examples": split["examples"], "shards": split["shards"], **rates}
