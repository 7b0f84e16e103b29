"""Pipeline options, execution of a pipeline, and help texts."""

import argparse
import re
from collections.abc import Callable, Iterable

import apache_beam as beam
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions, PortableOptions, StandardOptions
from apache_beam.runners.portability.portable_runner import PortableRunner
from apache_beam.runners.runner import PipelineResult

from beam_pipelines.jobs.job_server import require_job_server
from beam_pipelines.jobs.local_runner import DEFAULT_RUNNER, check_spill_options, make_runner
from beam_pipelines.jobs.worker_errors import held_worker_errors
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.system_errors import describe_system_error

# Workers report exceptions as text, in several formats.
WORKER_ERROR = re.compile(r"UserError: (.*?)(?: \[while running| \[ptransform|\n|\\n|$)")


def pipeline_options(arguments: list[str]) -> PipelineOptions:
    """Parses command-line arguments. The default runner works in this process.

    Raises:
      UserError: the default runner is used and an option is unknown. Beam would ignore it silently. Other runners
        may have options that Beam does not declare. Or a limit is negative.
    """
    options = PipelineOptions([f"--runner={DEFAULT_RUNNER}", *arguments])
    if options.view_as(StandardOptions).runner == DEFAULT_RUNNER:
        given, known = options.get_all_options(retain_unknown_options=True), PipelineOptions([]).get_all_options()
        if unknown := sorted(set(given) - set(known)):
            raise UserError(f"unknown option --{unknown[0]}: run the job with --help for a list of options")
    check_spill_options(options)
    return options


def run_pipeline(build: Callable[[beam.Pipeline], None], options: PipelineOptions, output: str | None = None
                 ) -> PipelineResult:
    """Builds a pipeline, runs it and waits for its end; with --template_location it only submits it.

    Args:
      build: adds the transforms.
      options: options of Beam.
      output: output folder, on whose disk the default runner puts temporary files.

    Raises:
      UserError: a worker raised one or met an error of the system, the runner is unknown or lacks an option, or no
        job server answers at --job_endpoint.
    """
    pipeline = _create(options, output)
    endpoint = options.view_as(PortableOptions).job_endpoint
    if endpoint not in (None, "embed") and isinstance(pipeline.runner, PortableRunner):
        require_job_server(endpoint)
    build(pipeline)
    with held_worker_errors():
        try:
            result = pipeline.run()
            if not options.view_as(GoogleCloudOptions).template_location:
                result.wait_until_finish()
        except Exception as error:
            if message := WORKER_ERROR.search(f"{type(error).__name__}: {error}"):
                raise UserError(message[1]) from error
            if line := describe_system_error(error):
                raise UserError(line) from error
            raise
    return result


def _create(options: PipelineOptions, output: str | None) -> beam.Pipeline:
    try:
        return beam.Pipeline(runner=make_runner(options, output), options=options)
    except (ValueError, ImportError, AttributeError, TypeError) as error:
        runner = options.view_as(StandardOptions).runner
        raise UserError(f"the pipeline cannot run with --runner={runner} ({' '.join(str(error).split())}): correct the "
                        "runner and its options") from error


def help_text(module: str, doc: str, groups: Iterable[type[PipelineOptions]]) -> str:
    """Text of ``python -m module --help``: the module's docstring and its options."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {module}", description=doc, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Options of Beam and of its runners are accepted too, such as --runner or --direct_num_workers.")
    for group in groups:
        group._add_argparse_args(parser)
    return parser.format_help()
