"""Content of dataset_info.json, from the results that the pipelines wrote."""

from typing import Any

import numpy as np

from beam_pipelines.jobs.job import RESULTS_FOLDER, Job
from beam_pipelines.jobs.log_spec import LogSpec
from beam_pipelines.launching.coverage_checks import joins_of, read_join_counts
from beam_pipelines.launching.own_code import own_code
from beam_pipelines.launching.positive_checks import count_sampled
from beam_pipelines.records.files import read_json
from beam_pipelines.records.shards import summarize_splits
from beam_pipelines.transforms.vocabularies import Vocabularies, extension_changes, vocabulary_info
from tfrs_pretrain.data.dataset import pair_columns
from tfrs_pretrain.data.joins import PRETRAINED_BOTH
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.schema import HISTORY, LABEL

MISSING_LABEL = "missing "
"""Before the name of a label: the measure of a split that counts the impressions without this label."""


def num_rows_read(job: Job, log: LogSpec) -> int:
    """Number of rows of a log, after the pipeline has run."""
    return int(_account(job, log)["read"])


def check_present(job: Job, log: LogSpec) -> None:
    """Checks that each column occurs in the rows, after the pipeline has run: some formats declare no columns.

    Raises:
      UserError: names the columns that no row has.
    """
    present = set(_account(job, log)["present"])
    absent = [column for column in log.columns if column not in present]
    # Without any column, every row was rejected, which ``check_rejected`` reports with the reasons.
    if present and absent:
        raise UserError(f"table {log.table}: no row of {job.source(log.table)} has a column {_quote(absent)}, expected "
                        f"{_quote(log.columns)}; correct the schema section of the configuration or the table")


def _quote(columns: list[str]) -> str:
    return ", ".join(map(repr, columns))


def check_windows(job: Job, log: LogSpec) -> None:
    """Checks that each window has rows, after the pipeline has run.

    Raises:
      UserError: names the empty window, its bounds and the range of the data.
    """
    account = _account(job, log)
    for split, window in log.windows.items():
        if not account["kept"].get(split):
            raise UserError(f"window {split} {window} of column {job.schema.window!r} has no usable row of table "
                            f"{log.table}: {_describe_range(account, window.temporal)}. Correct windows.{split} or the "
                            "table")


def _describe_range(account: dict[str, Any], temporal: bool) -> str:
    if account["low"] is None:
        return f"{account['read']} rows were read, none with a value in that column"
    low, high = (f"{np.datetime64(account[end], 'us') if temporal else account[end]}" for end in ("low", "high"))
    return f"the values range from {low} to {high}; {sum(account['rejected'].values())} rows were rejected"


def dataset_info(job: Job) -> dict[str, Any]:
    """Content for a complete dataset; equal inputs and configuration give equal content."""
    return merge_infos(vocabularies_info(job), pairs_info(job), impressions_info(job))


def merge_infos(*parts: dict[str, Any]) -> dict[str, Any]:
    """Merges the contents of a dataset's parts."""
    sections: dict[str, Any] = {name: {key: value for part in parts for key, value in part.get(name, {}).items()}
                                for name in ("counts", "splits")}
    return {key: value for part in parts for key, value in part.items()} | sections


def vocabularies_info(job: Job) -> dict[str, Any]:
    """Content for vocabularies and numeric statistics.

    ``kept`` is the number of rows of each log by window. ``engagements_end`` is the end, exclusive, of the engagements
    in the pretraining window: an integer, or microseconds since 1970-01-01 UTC. With --extend, ``extended`` is the
    section ``vocabularies`` of the earlier folder, and ``lifecycle`` has the ``VocabularyChanges`` of each vocabulary.
    """
    numeric = {feature.name: read_json(job.path(RESULTS_FOLDER, f"numeric-{feature.name}.json"))
               for feature in job.schema.moment_features}
    counts = {log.name: _counts(job, log) | {"kept": _account(job, log)["kept"]}
              for log in (job.engagements, job.impressions)}
    window = job.config.windows.pretrain
    span = {"engagements_end": min(_account(job, job.engagements)["high"] + 1, window.bounds[1])}
    vocabularies = Vocabularies.load(job)
    extended = {"extended": vocabulary_info(job.extend)["vocabularies"],
                "lifecycle": extension_changes(job, vocabularies)} if job.extend else {}
    return {"config": job.config.resolved(), "numeric": numeric, "counts": counts,
            "vocabularies": vocabularies.describe(), **span, **extended, **own_code(job)}


def pairs_info(job: Job) -> dict[str, Any]:
    """Content for pairs: their splits and the columns of their blocks."""
    splits = summarize_splits(read_json(job.path(RESULTS_FOLDER, "pairs.json")))
    return _common_info(job) | {
        "counts": {"engagements": _counts(job, job.engagements, splits)},
        "pair_columns": pair_columns(job.schema), "relations": list(job.config.dataset.relations),
        "splits": {name: add_rates(split) for name, split in splits.items()},
    }


def impressions_info(job: Job) -> dict[str, Any]:
    """Content for impressions: their splits and format; with histories also the counts of the engagements.

    Each split has the ``coverage`` of each join as a share, and the number of impressions with a ``missing`` value by
    feature.
    """
    splits = summarize_splits(read_json(job.path(RESULTS_FOLDER, "impressions.json")))
    history = {"history": _counts(job, job.history)} if job.compares_times else {}
    rates = {f"impressions/{split}": {"negative_rate": rate} for split, rate in job.impressions.negative_rates.items()}
    return _common_info(job) | {
        "counts": {"impressions": _impression_counts(job, splits), **history},
        "impressions_format": job.config.dataset.impressions_format,
        "splits": {name: _add_joins(job, name, split) | rates.get(name, {}) for name, split in splits.items()},
    }


def _add_joins(job: Job, name: str, split: dict[str, Any]) -> dict[str, Any]:
    joins = read_join_counts(job).get(name, {"impressions": 0, "found": {}, "missing": {}})
    names = [*(join.name for join in joins_of(job)), PRETRAINED_BOTH]
    coverage = {join: joins["found"].get(join, 0) / max(joins["impressions"], 1) for join in names}
    missing = {feature.name: joins["missing"].get(feature.name, 0) for feature in job.schema.features}
    missing |= {HISTORY: split["measures"].pop("empty_histories", 0)} if job.schema.history else {}
    return add_rates(split) | {"coverage": coverage, "missing": missing}


def _common_info(job: Job) -> dict[str, Any]:
    source = vocabulary_info(job.vocabulary) if job.vocabulary else {}
    numeric = {"numeric": source["numeric"]} if "numeric" in source else {}
    return {"config": job.config.resolved(), "vocabularies": Vocabularies.load(job).describe(), **numeric,
            **own_code(job)}


def _account(job: Job, log: LogSpec) -> dict[str, Any]:
    return dict(read_json(job.path(RESULTS_FOLDER, f"account-{log.name}.json")))


def _counts(job: Job, log: LogSpec, splits: dict[str, Any] | None = None) -> dict[str, Any]:
    """Returns the numbers of rows read, written (without ``splits``: kept), rejected and filtered.

    Raises:
      UserError: they do not add up.
    """
    account = _account(job, log)
    written = sum(split["examples"] for split in splits.values()) if splits else sum(account["kept"].values())
    rejected, filtered = sum(account["rejected"].values()), sum(account["filtered"].values())
    if account["read"] != written + rejected + filtered:
        raise UserError(f"table {log.table}: {account['read']} rows were read but {written} written, {rejected} "
                        f"rejected and {filtered} filtered: the files changed during the job; run it again")
    return {"read": account["read"], "written": written, "rejected": account["rejected"], "filtered": filtered,
            "filtered_by": account["filtered"],
            "dead_letter": sorted(read_json(job.path(RESULTS_FOLDER, f"rejected-{log.name}.json")))}


def _impression_counts(job: Job, splits: dict[str, Any]) -> dict[str, Any]:
    """Returns ``_counts`` of the impressions; of a log of positives also the number of sampled negatives."""
    if not job.config.dataset.implicit_feedback:
        return _counts(job, job.impressions, splits)
    counts, (positives, negatives) = _counts(job, job.impressions), count_sampled(job, splits)
    repeated = counts["written"] - positives
    filtered_by = counts["filtered_by"] | ({"repeated engagements": repeated} if repeated else {})
    return counts | {"written": positives, "sampled_negatives": negatives, "filtered": counts["filtered"] + repeated,
                     "filtered_by": filtered_by}


def add_rates(split: dict[str, Any]) -> dict[str, Any]:
    """Replaces the measures of a split, which are sums, with means over its examples.

    The rate of a label that may be missing is the mean over the examples that have it, and ``missing_label_share`` has
    the share of the others by label.
    """
    examples, measures = split["examples"], split["measures"]
    missing = {name.removeprefix(MISSING_LABEL): count for name, count in measures.items()
               if name.startswith(MISSING_LABEL)}
    without = {"positives": missing.get(LABEL, 0), **{f"{name}_rate": count for name, count in missing.items()}}
    names = {"positives": "label_rate", "oov_users": "oov_user_share", "oov_items": "oov_item_share"}
    rates = {names.get(name, name): count / max(examples - without.get(name, 0), 1) for name, count in measures.items()
             if not name.startswith(MISSING_LABEL)}
    shares = {"missing_label_share": {name: count / max(examples, 1) for name, count in missing.items()}}
    return {"examples": examples, "shards": split["shards"], **rates, **(shares if missing else {})}
