"""Commands that describe and sign what is handed on: sign, sbom, croissant."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from tfrs_pretrain.artifact_names import DELTA_KIND
from tfrs_pretrain.artifacts import check_artifact, write_text
from tfrs_pretrain.cli.application import app
from tfrs_pretrain.cli.options import check_writable
from tfrs_pretrain.progress import console
from tfrs_pretrain.quiet import quiet_imports

OutputOption = Annotated[Path, typer.Option("--output", metavar="FILE", help="JSON file to write")]


@app.command()
def sign(
    version: Annotated[Path, typer.Argument(help="exported version: MODELS/<name>/<version>")],
    key: Annotated[Path, typer.Option(help="PEM file of the private key (elliptic curve)")],
) -> None:
    """Signs an exported version and its deltas, after comparing their files with their manifests.

    Writes `model.sig` into each folder: a signature over the SHA-256 of all files, in the format of the OpenSSF Model
    Signing specification. `export`, `compact` and `forget` sign with --sign; `push`, `promote`, `roll-back` and
    `verify-server` check with --public-key.
    """
    with quiet_imports():
        from tfrs_pretrain.serving.signing import SIGNATURE, Signer, with_deltas
        from tfrs_pretrain.serving.version_folder import read_version
    signer = Signer(key)
    folders = list(with_deltas(version))
    read_version(folders[0])
    for delta in folders[1:]:
        check_artifact(delta, DELTA_KIND)
    for folder in folders:
        signer.sign(folder, folder.relative_to(folders[0].parent.parent).as_posix())
        console.print(f"wrote {folder / SIGNATURE}", soft_wrap=True)


@app.command()
def sbom(
    output: OutputOption,
    version: Annotated[Path | None, typer.Option(
        help="also describe this exported version: MODELS/<name>/<version>")] = None,
) -> None:
    """Writes a software bill of materials in CycloneDX 1.6: this package and what it needs, as installed here.

    With --version, the model is a component too, with the SHA-256 of its files and the digests of its ranker and
    dataset.
    """
    check_writable(output)
    with quiet_imports():
        from tfrs_pretrain.serving.sbom import bill_of_materials
    write_text(output, bill_of_materials(version))
    console.print(f"wrote {output}", soft_wrap=True)


@app.command()
def croissant(
    dataset: Annotated[Path, typer.Argument(help="output folder of `tfrs-pretrain dataset`")],
    output: OutputOption,
    license: Annotated[str | None, typer.Option(metavar="URL", help="license of the data, for the file")] = None,
) -> None:
    """Describes a dataset folder as JSON-LD in the Croissant format, which search engines and tools for data read.

    license: Annotated[str | None, typer.Option(metavar="URL", help="license of the data, named there")] = None,
    """
    check_writable(output)
    with quiet_imports():
        from tfrs_pretrain.data.croissant import describe
        from tfrs_pretrain.data.dataset import Dataset
    write_text(output, json.dumps(describe(Dataset.open(dataset), license), indent=2) + "\n")
    console.print(f"wrote {output}", soft_wrap=True)
