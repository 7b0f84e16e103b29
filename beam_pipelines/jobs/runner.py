"""Running a pipeline with the options a user gave."""

import argparse
import re
from collections.abc import Callable, Iterable

import apache_beam as beam
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions, StandardOptions
from apache_beam.runners.runner import PipelineResult

from tfrs_pretrain.errors import UserError

# Beam's own default tries to download another runner first.
DEFAULT_RUNNER = "FnApiRunner"
# Workers hand their errors over as text.
WORKER_ERROR = re.compile(r"UserError: (.*?)(?: \[while running| \[ptransform|\n|\\n|$)")


def pipeline_options(arguments: list[str]) -> PipelineOptions:
    """Options from command-line arguments, with a runner that works in this process unless another is named.

    Raises:
      UserError: an option is unknown. Beam would ignore it; only remote engines may know options that Beam does not.
    """
    options = PipelineOptions([f"--runner={DEFAULT_RUNNER}", *arguments])
    if options.view_as(StandardOptions).runner == DEFAULT_RUNNER:
        given, known = options.get_all_options(retain_unknown_options=True), PipelineOptions([]).get_all_options()
        if unknown := sorted(set(given) - set(known)):
            raise UserError(f"unknown option --{unknown[0]}: --help lists those of this job")
    return options


def run_pipeline(build: Callable[[beam.Pipeline], None], options: PipelineOptions) -> PipelineResult:
    """Builds a pipeline, runs it and waits until it is done; with --template_location it is only handed over.

    Raises:
      UserError: a worker raised one.
    """
    pipeline = beam.Pipeline(options=options)
    build(pipeline)
    try:
        result = pipeline.run()
        if not options.view_as(GoogleCloudOptions).template_location:
            result.wait_until_finish()
    except Exception as error:
        if message := WORKER_ERROR.search(f"{type(error).__name__}: {error}"):
            raise UserError(message[1]) from error
        raise
    return result


def help_text(module: str, doc: str, groups: Iterable[type[PipelineOptions]]) -> str:
    """What ``python -m module --help`` prints: the module's text and its own options."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {module}", description=doc, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Any option of Beam and its runners may follow, such as --runner or --direct_num_workers.")
    for group in groups:
        group._add_argparse_args(parser)
    return parser.format_help()
