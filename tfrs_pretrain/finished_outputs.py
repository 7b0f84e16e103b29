"""Recognizes the finished output of an identical run, so that a repeated command succeeds without repeating the work.

A process that is killed after it has put its output in place, and before it ends, is started again by its user or its
scheduler. The manifest therefore contains a digest of all that determines the output.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.text import Text

from tfrs_pretrain.artifacts import read_manifest
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.file_digests import check_files
from tfrs_pretrain.json_documents import json_digest
from tfrs_pretrain.output_folders import recover, refuse_existing, remove_leftovers
from tfrs_pretrain.progress import console
from tfrs_pretrain.version import __version__

RUN_DIGEST = "run_digest"  # key of a manifest


def run_digest(**run: Any) -> str:
    """Returns the digest of a run: of this version, and of its configuration, arguments and inputs as JSON values.

    Where the run is tracked is left out of the configuration.
    """
    if isinstance(config := run.get("config"), dict):
        run["config"] = {section: value for section, value in config.items() if section != "tracking"}
    return json_digest({"code_version": __version__, **run})


def finished_output(output: Path, kind: str, digest: str, *, overwrite: bool) -> dict[str, Any] | None:
    """Returns the manifest if an identical run has finished the output; None: there is no output, or it is replaced.

    Args:
      output: folder of the artifact.
      kind: kind of its manifest.
      digest: ``run_digest`` of this run.
      overwrite: replace any output.

    Raises:
      UserError: ``overwrite`` is false, and the output of another run exists (see ``refuse_existing``) or a file of the
        finished output is damaged.
    """
    recover(output)
    if overwrite or not (manifest := read_output_of(output, kind, digest)):
        refuse_existing(output, overwrite=overwrite)
        return None
    try:
        check_files(output, manifest)
    except UserError as error:
        raise UserError(f"{error}, with --overwrite") from error
    remove_leftovers(output)
    report_finished(output)
    return manifest


def read_output_of(folder: Path, kind: str, digest: str) -> dict[str, Any] | None:
    """Returns the manifest if the folder is the output of the run with a digest; else None."""
    try:
        manifest = read_manifest(folder, kind)
    except UserError:
        return None
    return manifest if manifest.get(RUN_DIGEST) == digest else None


def report_finished(output: Path | str) -> None:
    """Prints that an output is kept."""
    console.print(Text("✓ ", style="green").append(
        f"{output}  kept: it is the finished output of the same command", style="dim not green"), soft_wrap=True)
