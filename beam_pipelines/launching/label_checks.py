"""Checks of labels that may be missing, after a pipeline has run."""

from beam_pipelines.jobs.job import RESULTS_FOLDER, Job
from beam_pipelines.launching.dataset_info import add_rates
from beam_pipelines.records.files import read_json
from beam_pipelines.records.shards import summarize_splits
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.schema import LABEL


def check_labels(job: Job) -> None:
    """Checks that each label occurs in the training window, and the main label in every window.

    Raises:
      UserError: all values of a label are missing there.
    """
    if not job.schema.optional_labels:
        return
    for name, split in summarize_splits(read_json(job.path(RESULTS_FOLDER, "impressions.json"))).items():
        window = name.rpartition("/")[2]
        shares = add_rates(split)["missing_label_share"] if split["examples"] else {}
        absent = [label for label, share in shares.items() if share == 1 and (window == "train" or label == LABEL)]
        if absent:
            column = job.schema.label if absent[0] == LABEL else absent[0]
            raise UserError(f"window {window}: label {column!r} is missing in all {split['examples']:,} impressions, "
                            f"expected some to be 0 or 1; correct the column, windows.{window}, or the labels of the "
                            "schema")
