"""From a command line to a finished folder: what all jobs share."""

import dataclasses
import functools
import importlib
import sys
from collections.abc import Callable, Iterable
from typing import Any

import yaml
from apache_beam.io.filesystem import BeamIOError
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions, TestOptions
from apache_beam.runners.runner import PipelineResult, PipelineState

from beam_pipelines.jobs.job import Job
from beam_pipelines.jobs.log_spec import LogSpec
from beam_pipelines.jobs.options import (
    SPLITS,
    DatasetOptions,
    ExtendOptions,
    ReadOptions,
    SplitOptions,
    VocabularyOptions,
)
from beam_pipelines.jobs.runner import help_text, pipeline_options, run_pipeline
from beam_pipelines.launching.dataset_info import check_windows, num_rows_read
from beam_pipelines.launching.input_checks import check_inputs
from beam_pipelines.launching.output_folder import (
    finish,
    output_folder,
    refuse_finished,
    refuse_overwriting_inputs,
    require_unfinished,
)
from beam_pipelines.logs.dead_letter import check_rejected
from beam_pipelines.records.files import open_file
from beam_pipelines.transforms.vocabularies import check_vocabularies, vocabulary_info
from tfrs_pretrain.artifacts import DATASET_INFO
from tfrs_pretrain.config import Config, load_config, parse_config
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.progress import progress

JOB_OPTIONS: tuple[type[PipelineOptions], ...] = (DatasetOptions, ReadOptions, ExtendOptions, VocabularyOptions,
                                                  SplitOptions)


@dataclasses.dataclass(frozen=True)
class Step:
    """One pipeline of a job, ``build(pipeline, job=...)``, what it makes, and the logs that it reads."""

    title: str
    build: Callable[..., None]
    logs: tuple[LogSpec, ...]


def execute(job: Job, kind: str, steps: Iterable[Step], describe: Callable[[Job], dict[str, Any]],
            options: PipelineOptions, *, overwrite: bool) -> tuple[PipelineResult, dict[str, Any]]:
    """Runs pipelines one after another and finishes the folder; returns the last result and the manifest's content.

    With --template_location the one pipeline is handed over, not run: the content is empty, and --finish checks and
    finishes the folder when the pipeline has run.

    Raises:
      UserError: an input is missing or wrong, a window is empty, too many rows were rejected, or the folder holds
        something.
    """
    steps = list(steps)
    template = options.view_as(GoogleCloudOptions).template_location
    if template and len(steps) > 1:
        raise UserError("a template holds one pipeline, this job runs several: use build_vocabulary, build_pairs and "
                        "build_impressions")
    if options.view_as(TestOptions).dry_run:
        return [run_pipeline(functools.partial(step.build, job=job), options) for step in steps][-1], {}
    if options.view_as(DatasetOptions).finish:
        require_unfinished(job.folder)
        return PipelineResult(PipelineState.DONE), _finished(job, kind, steps, describe)
    refuse_finished(job.folder, overwrite=overwrite)
    refuse_overwriting_inputs(job.folder, job.inputs)
    check_inputs(job, {log.name: log for step in steps for log in step.logs}.values())
    for folder in (job.vocabulary, job.extend):
        if folder:
            check_vocabularies(job, folder)
    with output_folder(job.folder, overwrite=overwrite):
        for step in steps:
            with progress(f"Beam: {step.title}", unit="rows read") as meter:
                result = run_pipeline(functools.partial(step.build, job=job), options)
                if template:
                    return result, {}
                _check(job, step)
                meter.advance(sum(num_rows_read(job, log) for log in step.logs))
        return result, _finished(job, kind, [], describe)


def _check(job: Job, step: Step) -> None:
    for log in step.logs:
        check_rejected(job, log)
        check_windows(job, log)


def _finished(job: Job, kind: str, unchecked: Iterable[Step], describe: Callable[[Job], dict[str, Any]]
              ) -> dict[str, Any]:
    for step in unchecked:
        _check(job, step)
    info = describe(job)
    finish(job.folder, kind, info)
    return info


def parse_job(argv: list[str], *needed: type[PipelineOptions]) -> tuple[Job, PipelineOptions]:
    """The job that a command line asks for, and the options of Beam.

    Args:
      argv: arguments.
      needed: groups of options that this job takes beside those that every job takes; --vocabulary is required
        where it is taken.

    Raises:
      UserError: an option is missing, unknown or not for this job.
    """
    options = pipeline_options(argv)
    refuse_unsupported_options(options, *needed)
    given = options.get_all_options()
    for name in ("vocabulary" if VocabularyOptions in needed else "config", "raw", "output"):
        if given[name] is None:
            raise UserError(f"--{name} is missing: --help lists what is needed")
    job = Job(_config(given["config"], given["vocabulary"], given["set"]), given["raw"], given["output"].rstrip("/"),
              given["read_batch_rows"], given["buckets"], given["vocabulary"], given["extend"],
              _splits(given["splits"]))
    return job, options


def refuse_unsupported_options(options: PipelineOptions, *needed: type[PipelineOptions]) -> None:
    """Raises UserError where an option is given that only jobs with other groups of options take."""
    for group in {ExtendOptions, VocabularyOptions, SplitOptions} - set(needed):
        for name in options.view_as(group).get_all_options(drop_default=True, current_only=True):
            raise UserError(f"--{name} is not an option of this job: --help lists those that are")


def _splits(text: str) -> tuple[str, ...]:
    named = set(text.split(","))
    if not named <= set(SPLITS):
        raise UserError(f"--splits {text!r}: name some of {','.join(SPLITS)}, separated by commas")
    return tuple(split for split in SPLITS if split in named)


def _config(source: str | None, vocabulary: str | None, overrides: list[str]) -> Config:
    """``load_config``, from any file system; without a source, what the vocabularies were built with."""
    if source is None:
        assert vocabulary is not None
        return parse_config(vocabulary_info(vocabulary)["config"], overrides, origin=f"{vocabulary}/{DATASET_INFO}")
    if "://" not in source:
        return load_config(source, overrides)
    try:
        with open_file(source) as file:
            tree = yaml.safe_load(file.read())
    except (BeamIOError, OSError, ValueError, yaml.YAMLError) as error:
        raise UserError(f"configuration {source!r} cannot be read ({' '.join(str(error).split())}): give a YAML file "
                        "or the name of a bundled configuration") from error
    if not isinstance(tree, dict):
        raise UserError(f"configuration {source!r} must be a mapping of sections, not {type(tree).__name__}")
    return parse_config(tree, overrides, origin=source)


def main(module: str, *needed: type[PipelineOptions]) -> int:
    """Entry point of ``python -m``: one line and exit code 2 for a mistake that the user can mend."""
    # By its name, which is the one that workers find its functions by; here it is __main__.
    job = importlib.import_module(module)
    if {"-h", "--help"} & set(sys.argv[1:]):
        groups = [group for group in JOB_OPTIONS if group in (DatasetOptions, ReadOptions, *needed)]
        sys.stdout.write(help_text(module, str(job.__doc__), groups))
        return 0
    try:
        job.run(sys.argv[1:])
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0
