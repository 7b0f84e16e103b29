"""From a command line to a finished folder: what all jobs share."""

import argparse
import dataclasses
import functools
import importlib
import sys
from collections.abc import Callable, Iterable
from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions, TestOptions
from apache_beam.runners.runner import PipelineResult

from beam_pipelines.checks import check_inputs
from beam_pipelines.dead_letter import check_rejected
from beam_pipelines.info import check_windows
from beam_pipelines.job import DatasetOptions, ExtendOptions, Job, Log, ReadOptions, VocabularyOptions
from beam_pipelines.output import finish, output_folder, refuse_finished
from beam_pipelines.runner import pipeline_options, run_pipeline
from beam_pipelines.vocabularies import check_vocabularies
from tfrs_pretrain.config import load_config
from tfrs_pretrain.errors import UserError

JOB_OPTIONS: tuple[type[PipelineOptions], ...] = (DatasetOptions, ReadOptions, ExtendOptions, VocabularyOptions)


@dataclasses.dataclass(frozen=True)
class Step:
    """One pipeline of a job, ``build(pipeline, job=...)``, and the logs that it reads."""

    build: Callable[..., None]
    logs: tuple[Log, ...]


def execute(job: Job, kind: str, steps: Iterable[Step], describe: Callable[[Job], dict[str, Any]],
            options: PipelineOptions, *, overwrite: bool) -> tuple[PipelineResult, dict[str, Any]]:
    """Runs pipelines one after another and finishes the folder; returns the last result and the manifest's content.

    Raises:
      UserError: an input is missing or wrong, a window is empty, too many rows were rejected, or the folder holds
        something.
    """
    steps = list(steps)
    if options.view_as(TestOptions).dry_run:
        return [run_pipeline(functools.partial(step.build, job=job), options) for step in steps][-1], {}
    refuse_finished(job.folder, overwrite=overwrite)
    check_inputs(job, {log.name: log for step in steps for log in step.logs}.values())
    for folder in (job.vocabulary, job.extend):
        if folder:
            check_vocabularies(job, folder)
    with output_folder(job.folder, overwrite=overwrite):
        for step in steps:
            result = run_pipeline(functools.partial(step.build, job=job), options)
            for log in step.logs:
                check_rejected(job, log)
                check_windows(job, log)
        info = describe(job)
        finish(job.folder, kind, info)
    return result, info


def job_from(argv: list[str], *needed: type[PipelineOptions]) -> tuple[Job, PipelineOptions]:
    """The job that a command line asks for, and the options of Beam.

    Args:
      argv: arguments.
      needed: groups of options that this job takes beside those that every job takes; --vocabulary is required
        where it is taken.

    Raises:
      UserError: an option is missing, unknown or not for this job.
    """
    options = pipeline_options(argv)
    given = options.get_all_options()
    required = ["config", "raw", "output", *(["vocabulary"] if VocabularyOptions in needed else [])]
    for name in required:
        if given[name] is None:
            raise UserError(f"--{name} is missing: --help lists what is needed")
    for group, name in ((ExtendOptions, "extend"), (VocabularyOptions, "vocabulary")):
        if given[name] is not None and group not in needed:
            raise UserError(f"--{name} is not an option of this job: --help lists those that are")
    job = Job(load_config(given["config"], given["set"]), given["raw"], given["output"].rstrip("/"),
              given["read_batch_rows"], given["buckets"], given["vocabulary"], given["extend"])
    return job, options


def main(module: str, *needed: type[PipelineOptions]) -> int:
    """Entry point of ``python -m``: one line and exit code 2 for a mistake that the user can mend."""
    # By its name, which is the one that workers find its functions by; here it is __main__.
    job = importlib.import_module(module)
    if {"-h", "--help"} & set(sys.argv[1:]):
        sys.stdout.write(_help(module, str(job.__doc__), needed))
        return 0
    try:
        job.run(sys.argv[1:])
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


def _help(module: str, doc: str, needed: tuple[type[PipelineOptions], ...]) -> str:
    parser = argparse.ArgumentParser(
        prog=f"python -m {module}", description=doc, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Any option of Beam and its runners may follow, such as --runner or --direct_num_workers.")
    for group in JOB_OPTIONS:
        if group in (DatasetOptions, ReadOptions, *needed):
            group._add_argparse_args(parser)
    return parser.format_help()
