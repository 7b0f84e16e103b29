"""The command line reference as Markdown, from the commands themselves."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import typer.core
import typer.main
from apache_beam.options.pipeline_options import PipelineOptions

from beam_pipelines import build_dataset, build_impressions, build_pairs, build_vocabulary, validate_examples
from beam_pipelines.jobs.options import DatasetOptions, ExtendOptions, ReadOptions, VocabularyOptions
from beam_pipelines.validate_examples import ValidationOptions
from tfrs_pretrain.cli import app

JOBS: dict[Any, tuple[type[PipelineOptions], ...]] = {
    build_dataset: (DatasetOptions, ReadOptions, ExtendOptions),
    build_vocabulary: (DatasetOptions, ReadOptions, ExtendOptions),
    build_pairs: (DatasetOptions, ReadOptions, VocabularyOptions),
    build_impressions: (DatasetOptions, ReadOptions, VocabularyOptions),
    validate_examples: (ValidationOptions,),
}


def command_pages() -> dict[str, str]:
    """Returns file name below docs/ -> Markdown."""
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    lines = ["# Command line", "", "`tfrs-pretrain COMMAND --help` prints the same on the console. Exit codes are "
             "under [operations](operations.md#exit-codes).", ""]
    for name, command in shown(group).items():
        lines += [f"## tfrs-pretrain {name} {{ #{name.replace(' ', '-')} }}", "", command.help or "", "",
                  *_parameters(command)]
    lines += ["## The Beam jobs", "", "Options that are not listed here are passed to Beam, such as `--runner`.", ""]
    for job, groups in JOBS.items():
        lines += [f"### python -m {job.__name__} {{ #{job.__name__.rpartition('.')[2]} }}", "",
                  _sentence((job.__doc__ or "").partition("\n")[0]), "", *_options(groups)]
    return {"commands.md": "\n".join(lines)}


def shown(group: typer.core.TyperGroup) -> dict[str, Any]:
    """Returns the commands by name, those of groups by both names, without hidden ones."""
    found = {}
    for name, command in group.commands.items():
        if isinstance(command, typer.core.TyperGroup):
            found |= {f"{name} {inner}": entry for inner, entry in shown(command).items()}
        elif not command.hidden:
            found[name] = command
    return found


def _parameters(command: Any) -> Iterator[str]:
    for parameter in command.params:
        option = isinstance(parameter, typer.core.TyperOption)
        metavar = "" if option and parameter.is_flag else f" {parameter.metavar or parameter.name.upper()}"
        names = " / ".join([*parameter.opts, *parameter.secondary_opts]) + metavar if option else metavar.strip()
        shown = parameter.default not in (None, False)
        facts = "required" if parameter.required else f"default `{parameter.default}`" if shown else ""
        yield from _entry(names, facts, parameter.help or "")


def _options(groups: tuple[type[PipelineOptions], ...]) -> Iterator[str]:
    parser = argparse.ArgumentParser(add_help=False)
    for group in groups:
        group._add_argparse_args(parser)
    for action in parser._actions:
        metavar = "" if action.nargs == 0 else f" {action.metavar or (action.dest or '').upper()}"
        default = f"default `{action.default}`" if action.default not in (None, False, []) else ""
        text = (action.help or "").replace(" (default: %(default)g)", "")
        yield from _entry(f"{action.option_strings[0]}{metavar}", default, text)


def _entry(names: str, facts: str, text: str) -> list[str]:
    small = f" <small>{facts}</small>" if facts else ""
    return [f"`{names}`{small}", f":   {_sentence(text)}", ""]


def _sentence(text: str) -> str:
    return (text[:1].upper() + text[1:]).replace("<", "&lt;")
