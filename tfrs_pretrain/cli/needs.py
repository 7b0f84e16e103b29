"""The extra that each command needs. Its packages are looked up before the command runs."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperCommand

from tfrs_pretrain.extras import require

# Commands that are not listed need no extra. Options may need more: see ``require`` in the commands.
NEEDS: dict[str, tuple[str, ...]] = {
    "demo": ("demo",),
    "dataset": ("beam",),
    "pretrain": ("train",),
    "plan-memory": ("train",),
    "train-ranker": ("train",),
    "diagnose": ("train",),
    "tune": ("train",),
    "report": ("train",),
    "experiment": ("beam", "train"),
    "retrain": ("beam", "train", "serve"),
    "promote": ("client",),
    "roll-back": ("client",),
    "query": ("client",),
    "export": ("serve",),
    "compact": ("serve",),
    "serve": ("serve",),
    "verify-server": ("serve",),
    "push": ("serve",),
    "index": ("retrieval",),
    "recommend": ("retrieval", "train"),
    "forget": ("beam", "serve"),
    "sign": ("signing",),
    "sbom": ("sbom",),
    "plan": ("train",),
    "rank": ("train",),
}


class CheckedCommand(TyperCommand):
    """A command that refuses to run without its extra. Its help needs none."""

    def invoke(self, ctx: Any) -> Any:
        """Checks the extra, then runs the command."""
        name = _name(ctx)
        require(f"`tfrs-pretrain {name}`", *NEEDS.get(name, ()))
        return super().invoke(ctx)


def _name(context: Any) -> str:
    """Name of a command below the program, such as ``embeddings export``."""
    names: list[str] = []
    while context.parent is not None:
        names.insert(0, context.info_name)
        context = context.parent
    return " ".join(names)


class Commands(typer.Typer):
    """An application whose commands are checked."""

    def command(self, *arguments: Any, **options: Any) -> Any:
        """Registers a function as a command, see ``typer.Typer.command``."""
        return super().command(*arguments, **{"cls": CheckedCommand} | options)
