"""Job: the three jobs in order, into one dataset: vocabularies, pairs, impressions, dataset_info.json.

    python -m beam_pipelines.build_dataset --config completejourney --raw runs/raw --output runs/dataset

Reads the engagement and impression logs and the side tables, and writes what the three jobs write
(``python -m beam_pipelines.build_vocabulary --help`` and so on). Any option of a Beam runner may follow; the default
runner works in this process.
"""

import json
import sys
from pathlib import Path
from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.runner import PipelineResult

from beam_pipelines import build_impressions, build_pairs, build_vocabulary
from beam_pipelines.jobs.job import Job
from beam_pipelines.jobs.options import DatasetOptions, ExtendOptions, ReadOptions
from beam_pipelines.jobs.runner import pipeline_options
from beam_pipelines.launching.dataset_info import dataset_info
from beam_pipelines.launching.launch import Step, execute, main, parse_job, refuse_unsupported_options
from tfrs_pretrain.artifacts import manifest_text
from tfrs_pretrain.config import Config
from tfrs_pretrain.data.dataset import KIND


def build(config: Config, raw: Path | str, output: Path | str, pipeline_args: list[str] | None = None,
          overwrite: bool = False) -> dict[str, Any]:
    """Builds a dataset folder and returns the content of its dataset_info.json.

    Args:
      config: schema, windows and sizes.
      raw: folder that the configured table paths start at.
      output: folder to write; it is finished once it holds a dataset_info.json.
      pipeline_args: Beam pipeline options, such as ``["--direct_num_workers=2"]``, and those of ``ExtendOptions``.
      overwrite: replace what ``output`` holds.

    Raises:
      UserError: a table or column is missing or of another type, a window is empty, too many rows are bad, or
        ``output`` holds something.
    """
    options = pipeline_options(pipeline_args or [])
    refuse_unsupported_options(options, ExtendOptions)
    read = options.view_as(ReadOptions)
    job = Job(config, str(raw), str(output).rstrip("/"), read.read_batch_rows, read.buckets,
              extend=options.view_as(ExtendOptions).extend)
    info: dict[str, Any] = json.loads(manifest_text(KIND, _execute(job, options, overwrite)[1]))
    return info


def run(argv: list[str]) -> PipelineResult:
    """Builds a dataset from command-line arguments; returns the result of the last pipeline.

    Raises:
      UserError: as ``build`` and ``load_config``.
    """
    job, options = parse_job(argv, ExtendOptions)
    return _execute(job, options, options.view_as(DatasetOptions).overwrite)[0]


def _execute(job: Job, options: PipelineOptions, overwrite: bool) -> tuple[PipelineResult, dict[str, Any]]:
    steps = [Step("vocabularies", build_vocabulary.build, (job.engagements, job.impressions)),
             Step("pairs", build_pairs.build, (job.engagements,)),
             Step("impressions", build_impressions.build, job.impression_logs)]
    return execute(job, KIND, steps, dataset_info, options, overwrite=overwrite)


if __name__ == "__main__":
    sys.exit(main(__spec__.name, ExtendOptions))
