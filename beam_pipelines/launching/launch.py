"""Runs the pipelines of a job and finishes its output folder."""

import dataclasses
import functools
import importlib
import sys
from collections.abc import Callable, Iterable
from typing import Any

from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions, TestOptions
from apache_beam.runners.runner import PipelineResult, PipelineState

from beam_pipelines.jobs.job import Job
from beam_pipelines.jobs.log_spec import LogSpec
from beam_pipelines.jobs.options import DatasetOptions
from beam_pipelines.jobs.runner import help_text, run_pipeline
from beam_pipelines.launching.command_line import COMMON_OPTIONS
from beam_pipelines.launching.dataset_info import check_present, check_windows, num_rows_read
from beam_pipelines.launching.finish_folder import finish_folder
from beam_pipelines.launching.finished_job import finished_or_refused, job_digest, write_digest
from beam_pipelines.launching.input_checks import check_inputs
from beam_pipelines.launching.input_state import check_unchanged, choose_buckets, input_state
from beam_pipelines.launching.memory_check import check_resources
from beam_pipelines.launching.output_folder import (
    exclusive,
    output_folder,
    refuse_overwriting_inputs,
    require_unfinished,
)
from beam_pipelines.launching.time_checks import check_times
from beam_pipelines.logs.dead_letter import REJECTED_FOLDER, check_rejected
from beam_pipelines.transforms.vocabularies import check_vocabularies
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.progress import progress
from tfrs_pretrain.standard_streams import open_closed_streams


@dataclasses.dataclass(frozen=True)
class Step:
    """One pipeline of a job.

    Attributes:
      title: what it builds, for the progress display.
      build: ``build(pipeline, job=...)`` adds the transforms.
      logs: logs that it reads.
      checks: further checks of its results; they raise UserError.
    """

    title: str
    build: Callable[..., None]
    logs: tuple[LogSpec, ...]
    checks: tuple[Callable[[Job], None], ...] = ()


def run_steps(job: Job, kind: str, steps: Iterable[Step], describe: Callable[[Job], dict[str, Any]],
              options: PipelineOptions, *, overwrite: bool) -> tuple[PipelineResult, dict[str, Any]]:
    """Runs pipelines one after another and finishes the folder.

    With --template_location, the only pipeline is submitted but not awaited: the returned content is empty, and a
    later call with --finish checks and finishes the folder. If the same job has finished the folder, nothing is run.

    Args:
      job: job to run.
      kind: kind of the manifest.
      steps: pipelines, in order.
      describe: returns the content of the manifest from the results of the pipelines.
      options: options of Beam.
      overwrite: replace the contents of the output folder.

    Returns:
      Result of the last pipeline, and the manifest.

    Raises:
      UserError: an input is missing or wrong, a window is empty, too many rows were rejected, or the folder is not
        empty.
    """
    steps = list(steps)
    template = options.view_as(GoogleCloudOptions).template_location
    if template and len(steps) > 1:
        raise UserError("a template contains one pipeline, but this job runs several: use build_vocabulary, "
                        "build_pairs and build_impressions")
    if options.view_as(TestOptions).dry_run:
        return [run_pipeline(functools.partial(step.build, job=job), options) for step in steps][-1], {}
    if options.view_as(DatasetOptions).finish:
        with exclusive(job.folder):
            require_unfinished(job.folder)
            for step in steps:
                _check_results(job, step, job.path(REJECTED_FOLDER))
            return PipelineResult(PipelineState.DONE), _finish(job, kind, describe)
    tables = sorted(job.tables(log for step in steps for log in step.logs))
    finished = finished_or_refused(job.folder, kind, lambda: job_digest(job, kind, input_state(job, tables)),
                                   overwrite=overwrite)
    if finished:
        return PipelineResult(PipelineState.DONE), finished
    _check_before(job, steps)
    check_resources(job, [step.logs for step in steps], options)
    before = input_state(job, tables)
    with output_folder(job.folder, overwrite=overwrite, in_place=bool(template)) as output:
        write_digest(output.folder, job_digest(job, kind, before))
        job = dataclasses.replace(job, folder=output.folder, buckets=job.buckets or choose_buckets(before))
        for step in steps:
            with progress(f"Beam: {step.title}", unit="rows read") as meter:
                result = run_pipeline(functools.partial(step.build, job=job), options, job.folder)
                if template:
                    return result, {}
                check_unchanged(job, before)
                _check_results(job, step, output.dead_letter)
                meter.advance(sum(num_rows_read(job, log) for log in step.logs))
        output.check()
        return result, _finish(job, kind, describe)


def _check_before(job: Job, steps: list[Step]) -> None:
    refuse_overwriting_inputs(job.folder, job.inputs)
    check_inputs(job, {log.name: log for step in steps for log in step.logs}.values())
    for folder in (job.vocabulary, job.extend):
        if folder:
            check_vocabularies(job, folder)


def _check_results(job: Job, step: Step, dead_letter: str) -> None:
    for log in step.logs:
        check_present(job, log)
        check_rejected(job, log, dead_letter)
        check_windows(job, log)
    check_times(job, step.logs)
    for check in step.checks:
        check(job)


def _finish(job: Job, kind: str, describe: Callable[[Job], dict[str, Any]]) -> dict[str, Any]:
    return finish_folder(job.folder, kind, describe(job))


def main(module: str, *supported: type[PipelineOptions]) -> int:
    """Entry point of ``python -m module``; reports a UserError in one line.

    Args:
      module: name of the job's module.
      supported: see ``parse_job``.

    Returns:
      Exit code: 2 after a UserError, else 0.
    """
    open_closed_streams()
    # Imported by name: workers find its functions by this name, but here the module is called __main__.
    job = importlib.import_module(module)
    if {"-h", "--help"} & set(sys.argv[1:]):
        sys.stdout.write(help_text(module, str(job.__doc__), [*COMMON_OPTIONS, *supported]))
        return 0
    try:
        job.run(sys.argv[1:])
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0
