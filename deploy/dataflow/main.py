"""What the template's launcher runs: the job that ``--job`` names, with all other arguments."""

import argparse
import importlib
import sys

from tfrs_pretrain.errors import UserError

JOBS = ("build_vocabulary", "build_pairs", "build_impressions")
# A template gives every parameter a value, a flag has none.
FLAGS = {"--overwrite=true": ["--overwrite"], "--overwrite=false": []}


def main(argv: list[str]) -> int:
    """Runs a job; one line and exit code 2 for a mistake that the user can mend."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--job", choices=JOBS, required=True)
    chosen, rest = parser.parse_known_args(argv)
    arguments = [part for argument in rest for part in FLAGS.get(argument.lower(), [argument])]
    try:
        importlib.import_module(f"beam_pipelines.{chosen.job}").run(arguments)
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
