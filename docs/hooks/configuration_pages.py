"""The configuration reference as Markdown, from the JSON Schema of the typed configuration."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Literal

import yaml
from pydantic import BaseModel

from tfrs_pretrain.config import Config
from tfrs_pretrain.config.deployment import Deployment
from tfrs_pretrain.config.gate import Gate
from tfrs_pretrain.demo.config import CompleteJourneyConfig
from tfrs_pretrain.experiments.definition import Experiment
from tfrs_pretrain.tuning.candidates import CandidateFile

Node = dict[str, Any]
BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
WORDS = {"string": "text", "boolean": "true or false"}
FORMATS = {"date": "date", "date-time": "date and time"}


def configuration_pages() -> dict[str, str]:
    """Returns file name below docs/ -> Markdown: a page per section, and pages of the other YAML files."""
    schema = Config.model_json_schema(by_alias=True)
    sections = {name: node for name, node in schema["properties"].items() if _references(node)}
    plain = {name: node for name, node in schema["properties"].items() if name not in sections}
    pages = {f"configuration/{name}.md": _section(name, node, schema) for name, node in sections.items()}
    links = [f"- [`{name}`]({name}.md): {node['description']}" for name, node in sections.items()]
    pages["configuration/index.md"] = "\n".join([
        "# Configuration", "", _INTRODUCTION, "", "## Sections", "", *links,
        "- [`completejourney`](completejourney.md): the demo's logs, which only the demo's commands read",
        "- [the promotion gate](gate.md): the file of `tfrs-pretrain promote`",
        "- [an experiment](experiment.md): the file of `tfrs-pretrain experiment`",
        "- [candidates](candidates.md): the file of `tfrs-pretrain tune --candidates`",
        "- [a deployment](deployment.md): the file of `tfrs-pretrain deploy --deployment`", "",
        "## Keys outside a section", "", *_keys("", schema | {"properties": plain})])
    pages["configuration/completejourney.md"] = _file_page("The demo's logs", _DEMO, CompleteJourneyConfig)
    pages["configuration/gate.md"] = _file_page("The promotion gate", _GATE, Gate)
    pages["configuration/experiment.md"] = _file_page("An experiment", _EXPERIMENT, Experiment)
    pages["configuration/candidates.md"] = _file_page("Candidates", _CANDIDATES, CandidateFile)
    pages["configuration/deployment.md"] = _file_page("Deployment", _DEPLOYMENT, Deployment)
    return pages


_INTRODUCTION = """\
One YAML file configures a run. `tfrs-pretrain config` prints the demo's file with every key and its value. Your own
file needs only the keys without a default. Unknown keys and values out of range are refused before anything runs.

`--set section.key=value` overrides one key on the command line and is repeatable. The value is parsed as YAML:
`--set pretraining.epochs=12 --set "ranking.hidden=[256, 128]"`. The resolved configuration is stored with each
artifact. Commands that read a dataset use the dataset's configuration unless `--config` names another one.

In a section with several kinds, the key `kind` chooses one, and the keys of other kinds are refused. A plain string
is a kind with its defaults: `transfer: warm_start`.

These pages are generated from the code that reads the file."""

_GATE = """\
The requirements on a candidate before it replaces the live model: the YAML file of `tfrs-pretrain promote --gate`. All
requirements must be met; see [evaluation](../method.md#evaluation)."""

_DEMO = """\
The section `completejourney` of the demo's configuration, such as
`tfrs-pretrain demo --set completejourney.max_households=200`. Only the demo's commands read it."""

_EXPERIMENT = """\
Ways to train, compared over several seeds: the YAML file of `tfrs-pretrain experiment`. `experiments/` in the
repository contains the studies of [results](../results.md). Settings are chosen on validation; each arm is scored on
test once.
Differences to the baseline are corrected for the number of arms ([evaluation](../method.md#evaluation)).

Parts are kept in `OUTPUT/pieces`, so a further arm costs only its own training. After arms are removed from the file,
the same command with `--prune` lists the parts that neither the file nor the report needs, and removes them after
confirmation."""


_CANDIDATES = """\
Settings that `tfrs-pretrain tune --candidates` races on validation, instead of the built-in ones; see
[choosing settings](../tuning.md#your-own-candidates)."""

_DEPLOYMENT = """\
Image, folders and machines of the rounds of training that a scheduler runs: the YAML file of `tfrs-pretrain deploy
--deployment`; see [schedulers](../deploy/schedulers.md)."""


def _section(name: str, node: Node, schema: Node) -> str:
    """The page of a section: its own keys, then the models below."""
    [(_, model)] = _models_at(name, node)
    top = schema["$defs"][model]
    return "\n".join([f"# {name}", "", _prose(top["description"]), "", *_keys(name, top), *_models(name, top, schema)])


def _file_page(title: str, introduction: str, model: type[BaseModel]) -> str:
    """The page of a file that is not part of the configuration."""
    schema = model.model_json_schema(by_alias=True)
    return "\n".join([f"# {title}", "", introduction, "", *_keys("", schema), *_models("", schema, schema)])


def _models(path: str, top: Node, schema: Node) -> Iterator[str]:
    """The models that the keys of a model lead to, each once, with all places that lead to it."""
    paths: dict[str, list[str]] = {}
    waiting = _children(path, top)
    while waiting:
        where, name = waiting.pop(0)
        if name not in paths:
            waiting += _children(where, schema["$defs"][name])
        paths.setdefault(name, []).append(where)
    for name, wheres in paths.items():
        model = schema["$defs"][name]
        yield from (f"## {name} {{ #{name} }}", "", "At " + ", ".join(f"`{where}`" for where in wheres) + ".", "",
                    _prose(model["description"]), "", *_keys(wheres[0], model))


def _children(path: str, model: Node) -> list[tuple[str, str]]:
    """(path, model) of the models that the keys of a model can hold."""
    return [found for name, node in model["properties"].items() for found in _models_at(_dotted(path, name), node)]


def _models_at(path: str, node: Node) -> Iterator[tuple[str, str]]:
    """(path, model) of the models that a key can hold, through lists and mappings."""
    if "$ref" in node:
        yield path, node["$ref"].rpartition("/")[2]
    for kind, reference in node.get("discriminator", {}).get("mapping", {}).items():
        yield from _models_at(f"{path} ({kind})", {"$ref": reference})
    for option in node.get("anyOf", ()):
        yield from _models_at(path, option)
    if "items" in node:
        yield from _models_at(f"{path}[]", node["items"])
    if isinstance(values := _values(node), dict):
        yield from _models_at(f"{path}.<{_key_words(node)}>", values)


def _references(node: Node) -> bool:
    return "$ref" in json.dumps(node)


def _keys(path: str, model: Node) -> list[str]:
    """The keys of a model as a definition list."""
    lines: list[str] = []
    for name, node in model["properties"].items():
        default = "required" if name in model.get("required", ()) else _default(node)
        lines += [f"`{name}`{{ #{_anchor(_dotted(path, name))} }} <small>{_type(node)} · {default}</small>",
                  f":   {_prose(node['description'])}", ""]
    return lines


def _dotted(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _anchor(dotted: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in dotted)


def _default(node: Node) -> str:
    if node["default"] and _references(node):
        return "default: as below"
    text = yaml.safe_dump(node["default"], default_flow_style=True, width=1000, allow_unicode=True)
    return f"default `{text.removesuffix('...' + chr(10)).strip()}`"


def _type(node: Node | Literal[True]) -> str:
    """What a key may hold, in words."""
    if node is True:
        return "any value"
    if "$ref" in node:
        name = node["$ref"].rpartition("/")[2]
        return f"[{name}](#{name})"
    options = node.get("anyOf") or node.get("oneOf")
    if options:
        return " or ".join(dict.fromkeys(_type(option) for option in options))
    if "enum" in node or "const" in node:
        return ", ".join(f"`{value}`" for value in node.get("enum", [node.get("const")]))
    containers = {"array": _list_type, "object": _mapping_type}
    return containers.get(node.get("type", ""), _plain_type)(node)


def _list_type(node: Node) -> str:
    least = f" (at least {node['minItems']})" if node.get("minItems") else ""
    return f"list of {_type(node['items'])}{least}".replace("list of integer", "list of integers")


def _mapping_type(node: Node) -> str:
    return f"mapping of {_key_words(node)} to {_type(_values(node))}"


def _plain_type(node: Node) -> str:
    if "type" not in node:
        return "any value"
    words = str(FORMATS.get(node.get("format", "")) or WORDS.get(node["type"]) or node["type"])
    limits = [f"{sign} {node[bound]:g}" for bound, sign in BOUNDS.items() if bound in node]
    if "pattern" in node:
        limits.append(f"matching `{node['pattern']}`")
    if node.get("minLength"):
        limits.append("not empty")
    return " ".join([words, ", ".join(limits)]).strip()


def _values(node: Node) -> Node | Literal[True]:
    """What a mapping holds."""
    by_pattern = list(node.get("patternProperties", {}).values())
    return by_pattern[0] if by_pattern else node.get("additionalProperties", True)


def _key_words(node: Node) -> str:
    return " or ".join(node.get("propertyNames", {}).get("enum", ["name"]))


def _prose(text: str) -> str:
    """A docstring or description as one Markdown paragraph a paragraph; angle brackets are no HTML."""
    escaped = text.replace("<", "&lt;").replace("``", "`")
    sentence = escaped if "=" in escaped.split()[0] else escaped[:1].upper() + escaped[1:]
    return sentence if sentence.endswith((".", ":", "?")) else f"{sentence}."
