"""Checks, after the impressions are joined, that each join finds matches: without any, its data has no effect."""

from typing import Any

from beam_pipelines.jobs.job import RESULTS_FOLDER, Job
from beam_pipelines.records.files import read_json
from beam_pipelines.transforms.join_counts import JOIN_COUNTS_FILE, MAX_EXAMPLES
from beam_pipelines.transforms.side_tables import read_side_table
from beam_pipelines.transforms.vocabularies import Vocabularies
from tfrs_pretrain.data.dataset import IMPRESSION_SPLITS
from tfrs_pretrain.data.joins import PRETRAINING_JOINS, SIDE_TABLE_JOINS, Join
from tfrs_pretrain.errors import UserError

NOUNS = {"user": "a user", "item": "an item"}


def read_join_counts(job: Job) -> dict[str, dict[str, Any]]:
    """Reads split -> ``JoinCounts.to_json()``, in the order of the windows, after the pipeline has run."""
    counts = read_json(job.path(RESULTS_FOLDER, JOIN_COUNTS_FILE))
    return {split: counts[split] for split in IMPRESSION_SPLITS if split in counts}


def joins_of(job: Job) -> list[Join]:
    """Returns the joins of a job's impressions."""
    return [*PRETRAINING_JOINS, *(join for join in SIDE_TABLE_JOINS if join.table and job.features(join.table))]


def check_coverage(job: Job) -> None:
    """Checks each join in each window against ``dataset.min_coverage``.

    Raises:
      UserError: names the join, the numbers of impressions, and ids of both sides.
    """
    for split, counts in read_join_counts(job).items():
        for join in joins_of(job):
            found, limit = counts["found"].get(join.name, 0), getattr(job.config.dataset.min_coverage, join.name)
            if found < limit * counts["impressions"]:
                describe = _describe_side_table if join.table else _describe_pretraining
                raise UserError(f"{split}: {found} of {counts['impressions']} impressions "
                                f"{describe(job, join, _quote(counts['unmatched'].get(join.name, [])))}, or set "
                                f"dataset.min_coverage.{join.name} (now {limit:g}) to accept this")


def _describe_pretraining(job: Job, join: Join, unmatched: str) -> str:
    space, window = job.schema.id_spaces[join.space], job.config.windows.pretrain
    known = Vocabularies.load(job).by_name[join.space].known_ids[:MAX_EXAMPLES].to_pylist()
    return (f"have {NOUNS[join.space]} with engagements in the pretraining window {window}: column {space.column!r} "
            f"has ids like {unmatched} in the impressions and {_quote(known)} in the engagements. Write the ids alike "
            f"in both logs, widen windows.pretrain, lower schema.{join.space}.min_count (now {space.min_count})")


def _describe_side_table(job: Job, join: Join, unmatched: str) -> str:
    assert join.table is not None
    space, source = job.schema.id_spaces[join.space], job.source(join.table)
    known = read_side_table(join.table, source, {space.column: space.dtype})[space.column][:MAX_EXAMPLES].to_pylist()
    return (f"have {NOUNS[join.space]} with a row in table {join.table}: column {space.column!r} has ids like "
            f"{unmatched} in the impressions and {_quote(known)} in the table. Write the ids alike in both, complete "
            "the table")


def _quote(ids: list[Any]) -> str:
    return ", ".join(map(repr, ids)) or "(none)"
