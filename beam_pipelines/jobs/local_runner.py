"""The runner of a pipeline in this process: with limited memory, unless options or Beam's version prevent it."""

import functools
import tempfile

import apache_beam
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions, StandardOptions
from apache_beam.runners.runner import PipelineRunner
from rich.text import Text

from beam_pipelines.jobs.options import SpillOptions
from beam_pipelines.jobs.spill_store import SpillStore
from beam_pipelines.jobs.spilling_runner import WRITTEN_FOR, SpillingRunner, differences
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.progress import error_console

# Beam's default runner tries to download another runner first.
DEFAULT_RUNNER = "FnApiRunner"
MB = 1_000_000


def spills(options: PipelineOptions) -> bool:
    """Returns whether the runner of these options limits the memory between two steps."""
    return _is_single_process(options) and not differences()


def spill_folder(options: PipelineOptions, output: str | None) -> str:
    """Returns the folder for temporary files.

    Args:
      options: options of Beam.
      output: output folder of the job on any file system, if it has one.
    """
    default = tempfile.gettempdir() if output is None or "://" in output else output
    return options.view_as(SpillOptions).spill_folder or default


def spill_bytes(options: PipelineOptions) -> int:
    """Returns the limit of the rows between two steps in memory, and likewise of the rows that are grouped."""
    return int(options.view_as(SpillOptions).spill_mb) * MB


def make_runner(options: PipelineOptions, output: str | None) -> PipelineRunner | None:
    """Returns the runner that limits its memory; None if the options name another one.

    Args:
      options: options of Beam.
      output: output folder of the job on any file system, if it has one.
    """
    if not _is_single_process(options):
        return None
    if changed := differences():
        _warn_once(", ".join(changed))
        return None
    return SpillingRunner(SpillStore(spill_folder(options, output), spill_bytes(options)))


def check_spill_options(options: PipelineOptions) -> None:
    """Raises UserError if a limit is negative."""
    if (limit := options.view_as(SpillOptions).spill_mb) < 0:
        raise UserError(f"--spill_mb {limit}: expected at least 0")


def _is_single_process(options: PipelineOptions) -> bool:
    direct = options.view_as(DirectOptions)
    return (options.view_as(StandardOptions).runner == DEFAULT_RUNNER and direct.direct_running_mode == "in_memory"
            and direct.direct_num_workers == 1 and not direct.direct_runner_bundle_repeat
            and not direct.direct_test_splits)


@functools.cache
def _warn_once(changed: str) -> None:
    error_console.print(Text(
        f"! Beam {apache_beam.__version__} differs from {WRITTEN_FOR} in {changed}: the default runner keeps all rows "
        "between two steps in memory. Install the version of constraints.txt, or use another runner for large logs",
        style="yellow"), soft_wrap=True)
