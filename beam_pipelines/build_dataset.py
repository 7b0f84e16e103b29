"""Runs the jobs in order and finishes the dataset: vocabularies, pairs, impressions, dataset_info.json.

    python -m beam_pipelines.build_dataset --config completejourney --raw runs/raw --output runs/dataset

Any option of a Beam runner may follow; the default runner works in this process.
"""

import functools
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.runner import PipelineResult

from beam_pipelines import build_impressions, build_pairs, build_vocabulary
from beam_pipelines.checks import check_inputs
from beam_pipelines.info import check_windows, dataset_info, rows_read
from beam_pipelines.job import RESULTS, DatasetOptions, Job, Log, ReadOptions
from beam_pipelines.runner import pipeline_options, run_pipeline
from tfrs_pretrain.artifacts import DATASET_INFO, read_manifest, staged_folder, write_manifest
from tfrs_pretrain.config import Config, load_config
from tfrs_pretrain.data.dataset import KIND
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.progress import progress


def build(config: Config, raw: Path, output: Path, pipeline_args: list[str] | None = None,
          overwrite: bool = False) -> dict[str, Any]:
    """Builds a dataset folder and returns the content of its dataset_info.json.

    Args:
      config: schema, windows and sizes.
      raw: folder that the configured table paths start at.
      output: folder to write; it appears, whole, when everything has succeeded.
      pipeline_args: Beam pipeline options, such as ``["--direct_num_workers=2"]``.
      overwrite: replace what ``output`` holds.

    Raises:
      UserError: a table or column is missing or of another type, a window is empty, or ``output`` holds something.
    """
    _build(config, raw, output, pipeline_args or [], overwrite)
    return read_manifest(output, KIND, name=DATASET_INFO)


def run(argv: list[str]) -> PipelineResult:
    """Builds a dataset from command-line arguments; returns the result of the last pipeline.

    Raises:
      UserError: as ``build`` and ``load_config``.
    """
    options = PipelineOptions(argv).view_as(DatasetOptions)
    for name in ("config", "raw", "output"):
        if getattr(options, name) is None:
            raise UserError(f"--{name} is missing: python -m beam_pipelines.build_dataset --help lists what is needed")
    return _build(load_config(options.config, options.set), Path(options.raw), Path(options.output), argv,
                  options.overwrite)


def _build(config: Config, raw: Path, output: Path, pipeline_args: list[str], overwrite: bool) -> PipelineResult:
    options = pipeline_options(pipeline_args)
    with staged_folder(output, overwrite=overwrite) as folder:
        job = Job(config, str(raw), str(folder), options.view_as(ReadOptions).read_batch_rows)
        check_inputs(job)
        _run("vocabularies", build_vocabulary.build, job, options, (job.engagements, job.impressions))
        check_windows(job)
        _run("pairs", build_pairs.build, job, options, (job.engagements,))
        result = _run("impressions", build_impressions.build, job, options, (job.impressions,))
        info = dataset_info(job)
        shutil.rmtree(folder / RESULTS)
        write_manifest(folder, KIND, info, name=DATASET_INFO)
    return result


def _run(title: str, build_job: Callable[..., None], job: Job, options: PipelineOptions,
         logs: tuple[Log, ...]) -> PipelineResult:
    with progress(f"Beam: {title}", unit="rows read") as meter:
        result = run_pipeline(functools.partial(build_job, job=job), options)
        meter.advance(sum(rows_read(job, log) for log in logs))
    return result


def main() -> int:
    """Entry point of ``python -m``: one line and exit code 2 for a mistake that the user can mend."""
    try:
        run(sys.argv[1:])
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
