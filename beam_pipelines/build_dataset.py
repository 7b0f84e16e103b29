"""Builds a dataset: vocabularies, pairs, impressions and dataset_info.json.

    python -m beam_pipelines.build_dataset --config completejourney --raw runs/raw --output runs/dataset

Runs three pipelines one after another. Reads the engagement log, the impression log and the side tables. Writes the
outputs of build_vocabulary, build_pairs and build_impressions (run them with --help for details). Options of a Beam
runner are accepted too; the default runner works in this process.
"""

import sys
from pathlib import Path
from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.runner import PipelineResult

from beam_pipelines import build_impressions, build_pairs, build_vocabulary
from beam_pipelines.jobs.job import Job
from beam_pipelines.jobs.options import DatasetOptions, ExtendOptions, ReadOptions
from beam_pipelines.jobs.runner import pipeline_options
from beam_pipelines.launching.command_line import parse_job, refuse_unsupported_options, require_buckets
from beam_pipelines.launching.coverage_checks import check_coverage
from beam_pipelines.launching.dataset_info import dataset_info
from beam_pipelines.launching.label_checks import check_labels
from beam_pipelines.launching.launch import Step, main, run_steps
from beam_pipelines.launching.positive_checks import check_training_positives
from tfrs_pretrain.artifact_names import DATASET_KIND
from tfrs_pretrain.config import Config


def build(config: Config, raw: Path | str, output: Path | str, pipeline_args: list[str] | None = None,
          overwrite: bool = False) -> dict[str, Any]:
    """Builds a dataset folder.

    Args:
      config: schema, windows and sizes.
      raw: folder that relative table paths of the configuration start from.
      output: folder to write; it is finished when it contains a dataset_info.json.
      pipeline_args: options of Beam, such as ``["--direct_num_workers=2"]``, of ``ReadOptions`` and ``ExtendOptions``.
      overwrite: replace the contents of ``output``.

    Returns:
      The content of dataset_info.json.

    Raises:
      UserError: a table or column is missing or has another type, a window is empty, too many rows are bad, or
        ``output`` is not empty.
    """
    options = pipeline_options(pipeline_args or [])
    refuse_unsupported_options(options, [ExtendOptions])
    read = options.view_as(ReadOptions)
    require_buckets(read.buckets)
    job = Job(config, str(raw), str(output).rstrip("/"), read.read_batch_rows, read.buckets,
              extend=options.view_as(ExtendOptions).extend)
    return _run(job, options, overwrite)[1]


def run(argv: list[str]) -> PipelineResult:
    """Builds a dataset from command-line arguments; returns the result of the last pipeline.

    Raises:
      UserError: see ``build`` and ``parse_job``.
    """
    job, options = parse_job(argv, ExtendOptions)
    return _run(job, options, options.view_as(DatasetOptions).overwrite)[0]


def _run(job: Job, options: PipelineOptions, overwrite: bool) -> tuple[PipelineResult, dict[str, Any]]:
    steps = [Step("vocabularies", build_vocabulary.build, (job.engagements, *job.positive_logs),
                  (check_training_positives,)),
             Step("pairs", build_pairs.build, (job.engagements,)),
             Step("impressions", build_impressions.build, job.impression_logs, (check_coverage, check_labels))]
    return run_steps(job, DATASET_KIND, steps, dataset_info, options, overwrite=overwrite)


if __name__ == "__main__":
    sys.exit(main(__spec__.name, ExtendOptions))
