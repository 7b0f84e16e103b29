"""Recognizes the finished output of an identical run, so that a repeated command succeeds without repeating the work.

A process that is killed after it has put its output in place, and before it ends, is started again by its user or its
scheduler. The manifest therefore contains a digest of all that determines the output.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.text import Text

from tfrs_pretrain import __version__
from tfrs_pretrain.artifact_names import MANIFEST
from tfrs_pretrain.file_digests import check_files
from tfrs_pretrain.json_documents import json_digest, parse_document
from tfrs_pretrain.output_folders import recover, refuse_existing, remove_leftovers
from tfrs_pretrain.progress import console

RUN_DIGEST = "run_digest"  # key of a manifest


def run_digest(**run: Any) -> str:
    """Returns the digest of a run: of this version, and of its configuration, arguments and inputs as JSON values."""
    return json_digest({"code_version": __version__, **run})


def finished_output(output: Path, kind: str, digest: str, *, overwrite: bool) -> dict[str, Any] | None:
    """Returns the manifest if an identical run has finished the output; None: there is no output, or it is replaced.

    Args:
      output: folder of the artifact.
      kind: kind of its manifest.
      digest: ``run_digest`` of this run.
      overwrite: replace any output.

    Raises:
      UserError: the output of another run exists or the output is damaged, and ``overwrite`` is false, see
        ``refuse_existing`` and ``checked_file``.
    """
    recover(output)
    if overwrite or not (output / MANIFEST).is_file() or not is_output_of(
            manifest := parse_document((output / MANIFEST).read_bytes(), output / MANIFEST), kind, digest):
        refuse_existing(output, overwrite=overwrite)
        return None
    check_files(output, manifest)
    remove_leftovers(output)
    report_finished(output)
    return manifest


def is_output_of(manifest: dict[str, Any], kind: str, digest: str) -> bool:
    """Returns whether the manifest describes the output of the run with a digest."""
    return (manifest.get("kind"), manifest.get(RUN_DIGEST)) == (kind, digest)


def report_finished(output: Path | str) -> None:
    """Prints that an output is kept."""
    console.print(Text("✓ ", style="green").append(
        f"{output}  kept: it is the finished output of the same command", style="dim not green"), soft_wrap=True)
