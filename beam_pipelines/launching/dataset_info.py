"""dataset_info.json: what was built, from the results that the jobs left in the folder."""

from typing import Any

import numpy as np

from beam_pipelines.jobs.job import RESULTS_FOLDER, Job
from beam_pipelines.jobs.log_spec import LogSpec
from beam_pipelines.records.files import read_json
from beam_pipelines.records.shards import summarize_splits
from beam_pipelines.transforms.vocabularies import Vocabularies, vocabulary_info
from tfrs_pretrain.data.dataset import pair_columns
from tfrs_pretrain.errors import UserError


def num_rows_read(job: Job, log: LogSpec) -> int:
    """Rows of a log, once its account is written."""
    return int(read_json(job.path(RESULTS_FOLDER, f"account-{log.name}.json"))["read"])


def check_windows(job: Job, log: LogSpec) -> None:
    """Checks that each window holds rows, once the account is written.

    Raises:
      UserError: names the window, its bounds and the range found in the data.
    """
    account = _account(job, log)
    for split, window in log.windows.items():
        if not account["kept"].get(split):
            raise UserError(f"window {split} {window} of column {job.schema.window!r} holds no usable row of table "
                            f"{log.table}: {_found(account, window.temporal)}. Correct windows.{split} or the table")


def _found(account: dict[str, Any], temporal: bool) -> str:
    if account["low"] is None:
        return f"{account['read']} rows were read, none with a value in that column"
    low, high = (f"{np.datetime64(account[end], 'us') if temporal else account[end]}" for end in ("low", "high"))
    return f"the values found range from {low} to {high}; {sum(account['rejected'].values())} rows were rejected"


def dataset_info(job: Job) -> dict[str, Any]:
    """Everything the manifest of a dataset says; equal inputs and configuration give equal content."""
    return merge_infos(vocabularies_info(job), pairs_info(job), impressions_info(job))


def merge_infos(*parts: dict[str, Any]) -> dict[str, Any]:
    """What the manifest of a dataset says, from those of its parts."""
    sections: dict[str, Any] = {name: {key: value for part in parts for key, value in part.get(name, {}).items()}
                                for name in ("counts", "splits")}
    return {key: value for part in parts for key, value in part.items()} | sections


def vocabularies_info(job: Job) -> dict[str, Any]:
    """What the vocabularies and statistics were learnt from; ``kept`` rows of each log by window."""
    numeric = {feature.name: read_json(job.path(RESULTS_FOLDER, f"numeric-{feature.name}.json"))
               for feature in job.schema.moment_features}
    counts = {log.name: _counts(job, log) | {"kept": _account(job, log)["kept"]}
              for log in (job.engagements, job.impressions)}
    extended = {"extended": vocabulary_info(job.extend)["vocabularies"]} if job.extend else {}
    return {"config": job.config.resolved(), "numeric": numeric, "counts": counts,
            "vocabularies": Vocabularies.load(job).describe(), **extended}


def pairs_info(job: Job) -> dict[str, Any]:
    """Splits of pairs and the columns of their blocks."""
    splits = summarize_splits(read_json(job.path(RESULTS_FOLDER, "pairs.json")))
    return _common(job) | {
        "counts": {"engagements": _counts(job, job.engagements, splits)},
        "pair_columns": pair_columns(job.schema), "relations": list(job.config.dataset.relations),
        "splits": {name: _rates(split) for name, split in splits.items()},
    }


def impressions_info(job: Job) -> dict[str, Any]:
    """Splits of impressions and the columns of their records; with histories, what became of the engagements."""
    splits = summarize_splits(read_json(job.path(RESULTS_FOLDER, "impressions.json")))
    history = {"history": _counts(job, job.history)} if job.schema.history else {}
    rates = {f"impressions/{split}": {"negative_rate": rate} for split, rate in job.impressions.negative_rates.items()}
    return _common(job) | {
        "counts": {"impressions": _counts(job, job.impressions, splits), **history},
        "impressions_format": job.config.dataset.impressions_format,
        "splits": {name: _rates(split) | rates.get(name, {}) for name, split in splits.items()},
    }


def _common(job: Job) -> dict[str, Any]:
    learnt = vocabulary_info(job.vocabulary) if job.vocabulary else {}
    numeric = {"numeric": learnt["numeric"]} if "numeric" in learnt else {}
    return {"config": job.config.resolved(), "vocabularies": Vocabularies.load(job).describe(), **numeric}


def _account(job: Job, log: LogSpec) -> dict[str, Any]:
    return dict(read_json(job.path(RESULTS_FOLDER, f"account-{log.name}.json")))


def _counts(job: Job, log: LogSpec, splits: dict[str, Any] | None = None) -> dict[str, Any]:
    """Rows read, written (without splits: kept), rejected and filtered.

    Raises:
      UserError: they do not add up.
    """
    account = _account(job, log)
    written = sum(split["examples"] for split in splits.values()) if splits else sum(account["kept"].values())
    rejected, filtered = sum(account["rejected"].values()), sum(account["filtered"].values())
    if account["read"] != written + rejected + filtered:
        raise UserError(f"table {log.table}: {account['read']} rows were counted but {written} written, "
                        f"{rejected} rejected and {filtered} filtered: the files changed while the job ran; run it "
                        "again")
    return {"read": account["read"], "written": written, "rejected": account["rejected"], "filtered": filtered,
            "filtered_by": account["filtered"],
            "dead_letter": sorted(read_json(job.path(RESULTS_FOLDER, f"rejected-{log.name}.json")))}


def _rates(split: dict[str, Any]) -> dict[str, Any]:
    measures, examples = split["measures"], max(split["examples"], 1)
    names = {"positives": "label_rate", "oov_users": "oov_user_share", "oov_items": "oov_item_share"}
    rates = {names.get(name, name): count / examples for name, count in measures.items()}
    return {"examples": split["examples"], "shards": split["shards"], **rates}
