"""Checks and counts of positives and their sampled negatives, after a pipeline has run."""

from typing import Any

from apache_beam.io.filesystems import FileSystems

from beam_pipelines.jobs.job import Job
from beam_pipelines.transforms.vocabularies import vocabulary_path
from tfrs_pretrain.errors import UserError


def check_training_positives(job: Job) -> None:
    """Checks that the training window has positives: without any, the vocabularies of features are not written.

    Raises:
      UserError: it has none.
    """
    if job.config.dataset.implicit_feedback:
        for name in job.schema.vocabularies:
            if not FileSystems.exists(vocabulary_path(job.folder, name)):
                raise _no_positive("train")


def count_sampled(job: Job, splits: dict[str, Any]) -> tuple[int, int]:
    """Counts the impressions of a log of positives.

    Args:
      job: the job.
      splits: split -> number of examples, and of positives in its measures.

    Returns:
      The number of positives, and of sampled negatives.

    Raises:
      UserError: a window has no positive.
    """
    positives = {name: int(split["measures"]["positives"]) for name, split in splits.items()}
    for split in job.splits:
        if not positives.get(f"impressions/{split}"):
            raise _no_positive(split)
    total = sum(positives.values())
    return total, sum(split["examples"] for split in splits.values()) - total


def _no_positive(split: str) -> UserError:
    return UserError(f"window {split} has no positive: its users had engaged with all its items before. Set "
                     "dataset.implicit_feedback.repeats=include, or correct the table of impressions")
