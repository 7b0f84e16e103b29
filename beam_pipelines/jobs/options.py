"""Command-line options of the jobs, in addition to those of Beam."""

import argparse

from apache_beam.options.pipeline_options import PipelineOptions

SPLITS = ("train", "validation", "test")
DEFAULT_BATCH_ROWS = 1 << 17
MIN_BUCKETS = 16
DEFAULT_SPILL_MB = 256


class DatasetOptions(PipelineOptions):
    """Configuration, inputs and output. Every job has these options."""

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--config", help="YAML file, or the name of a bundled configuration (optional with "
                                             "--vocabulary: default is the configuration of that folder)")
        parser.add_argument("--raw", help="folder that relative table paths of the configuration start from")
        parser.add_argument("--output", help="folder to write the dataset to")
        parser.add_argument("--set", action="append", default=[], metavar="A.B=C", help="override a configuration key")
        parser.add_argument("--overwrite", action="store_true", help="replace the contents of the output folder")
        parser.add_argument("--finish", action="store_true",
                            help="run no pipeline: check and finish the output of a job that was launched from a "
                                 "template")


class ReadOptions(PipelineOptions):
    """Batch and partition sizes. They never change the output."""

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--read_batch_rows", type=int, default=DEFAULT_BATCH_ROWS,
                            help="maximum number of rows in an Arrow batch; limits the memory of a worker, never "
                                 "changes the output")
        parser.add_argument("--buckets", type=int,
                            help="number of hash buckets that group rows by key (for duplicates and histories); a "
                                 "worker loads one bucket at a time; never changes the output (default: one for 8 MiB "
                                 f"of input files, at least {MIN_BUCKETS}; 1024 if a table is not in files)")


class ExtendOptions(PipelineOptions):
    """Extension of an earlier vocabulary."""

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--extend", metavar="FOLDER",
                            help="dataset or vocabulary folder whose ids keep their rows; new ids get free rows, then "
                                 "rows at the end")


class VocabularyOptions(PipelineOptions):
    """The vocabularies that map ids to rows."""

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--vocabulary", metavar="FOLDER",
                            help="dataset or vocabulary folder whose vocabularies map ids to rows")


class SplitOptions(PipelineOptions):
    """The windows of the impression log to build."""

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--splits", default=",".join(SPLITS),
                            help="windows to build, separated by commas; the other windows may be empty. `test` alone "
                                 "is enough to evaluate trained models (default: %(default)s)")


class SpillOptions(PipelineOptions):
    """Memory and disk of the default runner between two steps. They never change the output."""

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--spill_mb", type=int, default=DEFAULT_SPILL_MB,
                            help="MB of rows between two steps that the default runner has in memory, and likewise of "
                                 "rows that it groups; further rows are in temporary files; never changes the output "
                                 "(default: %(default)s)")
        parser.add_argument("--spill_folder", metavar="FOLDER",
                            help="folder for these temporary files, which are gone when the process ends, however it "
                                 "ends (default: on the disk of the output, or the system's temporary folder if the "
                                 "output is not on this machine)")
