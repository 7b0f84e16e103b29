"""Parses the command line of a job."""

from collections.abc import Iterable

import yaml
from apache_beam.io.filesystem import BeamIOError
from apache_beam.options.pipeline_options import PipelineOptions

from beam_pipelines.jobs.job import Job
from beam_pipelines.jobs.options import (
    SPLITS,
    DatasetOptions,
    ExtendOptions,
    ReadOptions,
    SpillOptions,
    SplitOptions,
    VocabularyOptions,
)
from beam_pipelines.jobs.runner import pipeline_options
from beam_pipelines.records.files import open_file
from beam_pipelines.transforms.vocabularies import vocabulary_info
from tfrs_pretrain.artifact_names import DATASET_INFO
from tfrs_pretrain.config import Config, load_config, parse_config
from tfrs_pretrain.config.yaml_text import parse_yaml
from tfrs_pretrain.errors import UserError

COMMON_OPTIONS: tuple[type[PipelineOptions], ...] = (DatasetOptions, ReadOptions, SpillOptions)
SPECIFIC_OPTIONS: tuple[type[PipelineOptions], ...] = (ExtendOptions, VocabularyOptions, SplitOptions)
JOB_OPTIONS = COMMON_OPTIONS + SPECIFIC_OPTIONS


def parse_job(argv: list[str], *supported: type[PipelineOptions]) -> tuple[Job, PipelineOptions]:
    """Parses command-line arguments into a job and the options of Beam.

    Args:
      argv: arguments.
      supported: the option groups of SPECIFIC_OPTIONS that this job supports. A job that supports --vocabulary
        requires it.

    Raises:
      UserError: an option is missing, unknown or not supported by this job.
    """
    options = pipeline_options(argv)
    refuse_unsupported_options(options, supported)
    given = options.get_all_options()
    for name in ("vocabulary" if VocabularyOptions in supported else "config", "raw", "output"):
        if given[name] is None:
            raise UserError(f"--{name} is missing: run the job with --help for a list of options")
    require_buckets(given["buckets"])
    config = _load_config(given["config"], given["vocabulary"], given["set"])
    job = Job(config, given["raw"], given["output"].rstrip("/"), given["read_batch_rows"], given["buckets"],
              given["vocabulary"], given["extend"], _parse_splits(given["splits"]))
    return job, options


def require_buckets(buckets: int | None) -> None:
    """Checks the option --buckets.

    Raises:
      UserError: it is less than 1.
    """
    if buckets is not None and buckets < 1:
        raise UserError(f"--buckets {buckets}: expected at least 1, or no --buckets to choose it by the size of the "
                        "input files")


def refuse_unsupported_options(options: PipelineOptions, supported: Iterable[type[PipelineOptions]]) -> None:
    """Refuses options that only other jobs support.

    Raises:
      UserError: names such an option.
    """
    for group in set(SPECIFIC_OPTIONS) - set(supported):
        for name in options.view_as(group).get_all_options(drop_default=True, current_only=True):
            raise UserError(f"--{name} is not an option of this job: run it with --help for a list of options")


def _parse_splits(text: str) -> tuple[str, ...]:
    names = set(text.split(","))
    if not names <= set(SPLITS):
        raise UserError(f"--splits {text!r}: expected one or more of {','.join(SPLITS)}, separated by commas")
    return tuple(split for split in SPLITS if split in names)


def _load_config(source: str | None, vocabulary: str | None, overrides: list[str]) -> Config:
    """Loads a configuration from any file system; without ``source``, the one that the vocabularies were built with."""
    if source is None:
        assert vocabulary is not None
        return parse_config(vocabulary_info(vocabulary)["config"], overrides, origin=f"{vocabulary}/{DATASET_INFO}")
    if "://" not in source:
        return load_config(source, overrides)
    try:
        with open_file(source) as file:
            tree = parse_yaml(file.read().decode())
    except (BeamIOError, OSError, ValueError, yaml.YAMLError) as error:
        raise UserError(f"configuration {source!r} cannot be read ({' '.join(str(error).split())}): pass a YAML file "
                        "or the name of a bundled configuration") from error
    if not isinstance(tree, dict):
        raise UserError(f"configuration {source!r} must be a mapping of sections, not {type(tree).__name__}")
    return parse_config(tree, overrides, origin=source)
