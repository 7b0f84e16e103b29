"""Entry point of the template's launcher: runs the job that ``--job`` names with all other arguments."""

import argparse
import importlib
import sys

from tfrs_pretrain.errors import UserError

JOBS = ("build_vocabulary", "build_pairs", "build_impressions")
# Every parameter of a template has a value; a command-line flag has none.
FLAGS = {"--overwrite=true": ["--overwrite"], "--overwrite=false": []}


def main(argv: list[str]) -> int:
    """Runs a job. Reports a UserError in one line; then the exit code is 2, else 0."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--job", choices=JOBS, required=True)
    selected, rest = parser.parse_known_args(argv)
    arguments = [part for argument in rest for part in FLAGS.get(argument.lower(), [argument])]
    try:
        importlib.import_module(f"beam_pipelines.{selected.job}").run(arguments)
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
