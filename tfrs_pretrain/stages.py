"""The working folder of a run: its configuration, its stages and their cost."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from rich.text import Text

from tfrs_pretrain.artifact_names import MANIFEST
from tfrs_pretrain.artifacts import has_manifest, read_manifest, read_optional_json, write_text
from tfrs_pretrain.config import Config, first_difference, load_config
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.json_documents import document_text
from tfrs_pretrain.output_folders import inside
from tfrs_pretrain.progress import console

# Files and folders of a workdir
CONFIG, COSTS = "config.yaml", "stages.json"
LOGS, DATASET, EMBEDDINGS, RANKING, EXPORT = "logs", "dataset", "embeddings", "ranking", "export"


class Workdir:
    """Folder of one run: its configuration, a subfolder for each stage, and ``stages.json`` with the cost of each.

    A stage whose artifact is finished is skipped, so an interrupted run continues where it stopped. Once a stage has
    run, every later stage runs too.

    Args:
      folder: path of the folder; created if it is missing.
      config: configuration of the run.

    Raises:
      UserError: the folder belongs to a run with another configuration, or is not a workdir.
    """

    def __init__(self, folder: Path, config: Config):
        self.folder, self.config = folder, config
        self._claim()
        self._renewed = False
        self.costs: dict[str, dict[str, float]] = read_optional_json(folder / COSTS)

    @classmethod
    def reopen(cls, folder: Path) -> Workdir:
        """Opens the workdir of an earlier run with the configuration of that run.

        Raises:
          UserError: the folder is not a workdir.
        """
        path = folder / CONFIG
        if not path.is_file():
            raise UserError(f"{str(folder)!r} is not the workdir of a run (it has no {CONFIG}): name the --workdir of "
                            "an earlier `tfrs-pretrain demo`")
        return cls(folder, load_config(str(path)))

    def _claim(self) -> None:
        path = self.folder / CONFIG
        if self.folder.exists() and not self.folder.is_dir():
            raise UserError(f"workdir {str(self.folder)!r} is a file: name a folder")
        if path.is_file():
            difference = first_difference(load_config(str(path)).resolved(), self.config.resolved())
            if difference:
                raise UserError(f"workdir {str(self.folder)!r} contains a run with another configuration, "
                                f"first in {difference}: name another --workdir, or remove this one")
            return
        if self.folder.exists() and any(self.folder.iterdir()):
            raise UserError(f"workdir {str(self.folder)!r} is not empty and has no {CONFIG} of an earlier run: "
                            "name an empty or new folder")
        self.folder.mkdir(parents=True, exist_ok=True)
        write_text(path, yaml.safe_dump(self.config.resolved(), sort_keys=False, allow_unicode=True))

    def stage(self, name: str, artifact: str, kind: str, run: Callable[[Path], Any], *,
              manifest: str = MANIFEST) -> dict[str, Any]:
        """Runs one stage unless its artifact is finished, and returns its manifest.

        Args:
          name: key in ``stages.json``.
          artifact: subfolder that the stage writes.
          kind: kind of its manifest.
          run: writes the artifact into the folder that it receives.
          manifest: file name of the manifest.
        """
        folder = inside(self.folder, artifact)
        if has_manifest(folder, manifest) and name in self.costs and not self._renewed:
            finished = Text(f"{artifact}  kept from an earlier run", style="dim not green")
            console.print(Text("✓ ", style="green").append_text(finished))
        else:
            self._renewed = True
            self.forget(name)
            start = time.monotonic()
            run(folder)
            self.costs[name] = {"seconds": time.monotonic() - start, "peak_rss_bytes": peak_rss_bytes()}
            self._save_costs()
        return read_manifest(folder, kind, name=manifest)

    def forget(self, name: str) -> None:
        """Removes the cost of a stage, so that the stage runs again."""
        if self.costs.pop(name, None):
            self._save_costs()

    def seconds(self, *names: str) -> float:
        """Sum of the wall-clock seconds of the named stages.

        Raises:
          UserError: one of them has not finished.
        """
        missing = [name for name in names if name not in self.costs]
        if missing:
            raise UserError(f"workdir {str(self.folder)!r}: stage {missing[0]!r} has not finished; "
                            "run `tfrs-pretrain demo` with this --workdir again")
        return sum(self.costs[name]["seconds"] for name in names)

    def _save_costs(self) -> None:
        write_text(self.folder / COSTS, document_text(self.costs))


def peak_rss_bytes() -> int:
    """Returns the peak resident memory, in bytes, of this process or of any of its finished children."""
    unit = 1 if sys.platform == "darwin" else 1024  # getrusage counts bytes on macOS, KiB elsewhere
    return unit * max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
