"""Runs several commands of one commit's command line in one process, so that TensorFlow is imported once.

    PYTHONPATH=CHECKOUT python -P driver.py PLAN.json

Runs in a process of the commit under test and imports nothing of this folder. PLAN.json contains:

    checkout   folder that the package must come from
    config     YAML file or bundled name of the configuration
    choices    name -> alternatives, each a list of KEY=VALUE for --set
    steps      command lines: the first entry lists the spellings of the command, newest first; an entry "@name" stands
               for the --set options of the first alternative of that choice that the commit accepts
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from pathlib import Path

from tfrs_pretrain import cli


def main(plan: dict) -> None:
    checkout, package = Path(plan["checkout"]).resolve(), Path(cli.__file__).resolve()
    if checkout not in package.parents:
        sys.exit(f"the package was imported from {package}, not from {checkout}")
    for spellings, *arguments in plan["steps"]:
        command = _spelling(spellings)
        line = [part for argument in arguments for part in _expanded(argument, plan)]
        print("$ tfrs-pretrain", command, *line, flush=True)
        code = _run(command, *line)
        if code:
            sys.exit(f"tfrs-pretrain {command} ended with exit code {code}")


def _spelling(spellings: list[str]) -> str:
    """Returns the first spelling of a command that the commit knows."""
    for command in spellings:
        if not _quietly(command, "--help")[0]:
            return command
    sys.exit(f"none of the commands {spellings} is known: add the spelling of this commit to scenarios.py")


def _expanded(argument: str, plan: dict) -> list[str]:
    if not argument.startswith("@"):
        return [argument]
    name, refusal = argument[1:], ""
    for settings in plan["choices"][name]:
        options = [part for setting in settings for part in ("--set", setting)]
        code, refusal = _quietly("config", "--config", plan["config"], *options)
        if not code:
            return options
    sys.exit(f"none of the alternatives of {name!r} is accepted: add the spelling of this commit to scenarios.py. "
             f"The last refusal: {refusal}")


def _quietly(*argv: str) -> tuple[int, str]:
    """Returns the exit code of a command and what it printed."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        code = _run(*argv)
    return code, printed.getvalue().strip()[-1000:]


def _run(*argv: str) -> int:
    sys.argv = ["tfrs-pretrain", *argv]
    try:
        cli.main()
    except SystemExit as done:
        if isinstance(done.code, str):
            print(done.code)
        return done.code if isinstance(done.code, int) else bool(done.code)
    return 0


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
