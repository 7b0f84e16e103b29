"""Commands that print the configuration and the version."""

from __future__ import annotations

import typer

from tfrs_pretrain.cli.application import app
from tfrs_pretrain.cli.options import ConfigOption, SetOption
from tfrs_pretrain.config import load_config
from tfrs_pretrain.config.describe import described_yaml
from tfrs_pretrain.version import __version__


@app.command(name="config")
def show_config(config: ConfigOption = "completejourney", overrides: SetOption = None) -> None:
    """Prints the resolved configuration as YAML, every key with its value and description."""
    typer.echo(described_yaml(load_config(config, overrides or ())), nl=False)


@app.command()
def version() -> None:
    """Prints the version."""
    typer.echo(__version__)
