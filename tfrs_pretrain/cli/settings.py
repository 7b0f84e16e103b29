"""Commands that print the configuration and the version."""

from __future__ import annotations

import typer
import yaml

from tfrs_pretrain import __version__
from tfrs_pretrain.cli.application import app
from tfrs_pretrain.cli.options import ConfigOption, SetOption
from tfrs_pretrain.config import load_config


@app.command(name="config")
def show_config(config: ConfigOption = "completejourney", overrides: SetOption = None) -> None:
    """Prints the resolved configuration, every key with its value."""
    tree = load_config(config, overrides or ()).resolved()
    typer.echo(yaml.safe_dump(tree, sort_keys=False, allow_unicode=True), nl=False)


@app.command()
def version() -> None:
    """Prints the version."""
    typer.echo(__version__)
