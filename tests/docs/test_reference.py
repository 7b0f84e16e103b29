"""The generated pages contain every key of the configuration and every option of every command, with descriptions."""

import argparse
import re
import sys
import typing
from pathlib import Path

import pytest
import typer.main
from pydantic import BaseModel

from beam_pipelines.validate_examples import ValidationOptions
from tfrs_pretrain.cli import app
from tfrs_pretrain.config import Config
from tfrs_pretrain.config.deployment import Deployment
from tfrs_pretrain.config.gate import Gate
from tfrs_pretrain.experiments.definition import Experiment
from tfrs_pretrain.features.base import Feature
from tfrs_pretrain.features.registry import registered_kinds
from tfrs_pretrain.tuning.candidates import CandidateFile

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture(scope="module")
def hooks():
    sys.path.insert(0, str(DOCS / "hooks"))  # as MkDocs does
    try:
        import pages
        yield pages
    finally:
        sys.path.remove(str(DOCS / "hooks"))


@pytest.fixture(scope="module")
def configuration(hooks):
    return hooks.configuration_pages()


@pytest.fixture(scope="module")
def commands(hooks):
    [text] = hooks.command_pages().values()
    return text


def models(root: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """Returns a model and all models in its fields, by name."""
    found, waiting = {}, [root]
    while waiting:
        part = waiting.pop()
        waiting += typing.get_args(part)
        if isinstance(part, type) and issubclass(part, BaseModel) and part.__name__ not in found:
            found[part.__name__] = part
            waiting += registered_kinds().values() if part is Feature else ()
            waiting += [field.annotation for field in part.model_fields.values()]
    return found


def plain(text: str) -> str:
    """Returns the words alone: the page escapes brackets and capitalizes."""
    return re.sub(r"[`\s]+", " ", text.replace("&lt;", "<")).lower()


@pytest.mark.parametrize("root", [Config, Gate, Experiment, CandidateFile, Deployment])
def test_every_key_has_its_description_in_the_reference(root, configuration):
    text = "\n".join(configuration.values())
    missing = []
    for model in models(root).values():
        for name, field in model.model_fields.items():
            key = field.alias or name
            entries = re.findall(rf"^`{key}`{{[^\n]*\n:   (.*)$|^- \[`{key}`\]\(.*?\): (.*)$", text, re.MULTILINE)
            words = plain(field.description or "says nothing about itself")
            if not any(words in plain(" ".join(entry)) for entry in entries):
                missing.append(f"{model.__name__}.{name}")
    assert not missing


@pytest.mark.parametrize(("page", "entry"), [
    ("pretraining",
     "`temperature`{ #pretraining.objective--softmax-.temperature } <small>number > 0 · default `0.2`</small>"),
    ("pretraining", "`optimizer`{ #pretraining.optimizer } <small>`lazy_adam`, `rowwise_adagrad`, `adagrad` · default"),
    ("ranking", "`pretrained_dropout`{ #ranking.arms.-name-.transfer--warm_start-.pretrained_dropout } "
                "<small>number ≥ 0, < 1 · default"),
    ("schema", "`max_size`{ #schema.user.max_size } <small>integer ≥ 1 or null · default `null`"),
    ("schema", "At `schema.user`, `schema.item`."),
    ("index", "`name`{ #name } <small>text matching `^[A-Za-z0-9_][A-Za-z0-9_.-]*$` · required"),
    ("ranking",
     "At `ranking.backbone (dcn_v2)`, `ranking.arms.<name>.distillation.teacher (online).backbone (dcn_v2)`."),
])
def test_types_defaults_and_limits_are_shown(page, entry, configuration):
    assert entry in configuration[f"configuration/{page}.md"]


def leaves(commands, prefix=""):
    """Yields (name, command) of every command, those of groups under both names."""
    for name, command in commands.items():
        if hasattr(command, "commands"):
            yield from leaves(command.commands, f"{prefix}{name} ")
        else:
            yield prefix + name, command


def test_every_option_of_every_command_is_there(commands):
    names = dict(leaves(typer.main.get_command(app).commands))
    assert {"dataset", "embeddings export", "version"} <= names.keys()
    for name, command in names.items():
        if command.hidden:
            assert f"tfrs-pretrain {name} " not in commands
            continue
        [section] = re.findall(rf"^## tfrs-pretrain {name} .*?(?=^## )", commands, re.MULTILINE | re.DOTALL)
        assert plain(command.help) in plain(section)
        for parameter in command.params:
            if parameter.name != "help":
                assert max(parameter.opts, key=len).lower() in section.lower()
                assert plain(parameter.help) in plain(section)


def test_options_of_the_jobs_are_there(commands):
    parser = argparse.ArgumentParser(add_help=False)
    ValidationOptions._add_argparse_args(parser)
    section = commands[commands.index("### python -m beam_pipelines.validate_examples"):]
    for action in parser._actions:
        assert f"`{action.option_strings[0]} " in section
    assert "`--extend FOLDER`" in commands
