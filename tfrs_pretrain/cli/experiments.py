"""The command `experiment`, on one log or on several."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.rule import Rule

from tfrs_pretrain.cli.stream_summary import summarize_stream
from tfrs_pretrain.cli.summary import summarize
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.experiments import console_tables
from tfrs_pretrain.experiments import prune as pruning
from tfrs_pretrain.experiments.experiment_file import log_names
from tfrs_pretrain.experiments.experiment_plan import Selection
from tfrs_pretrain.experiments.run import run_experiment
from tfrs_pretrain.experiments.several_logs import run_logs, select_logs
from tfrs_pretrain.experiments.stream_plan import StreamPlan, load_plan
from tfrs_pretrain.experiments.stream_run import run_stream
from tfrs_pretrain.experiments.workers import default_jobs
from tfrs_pretrain.output_folders import inside
from tfrs_pretrain.progress import console
from tfrs_pretrain.reporting.stream_report import write_stream
from tfrs_pretrain.reporting.study_report import write_study


@dataclasses.dataclass(frozen=True)
class ExperimentCommand:
    """Options of one call of the command.

    Attributes:
      file: experiment file.
      output: output folder.
      arms, seeds: as in ``Selection``.
      jobs: number of processes; None: as many as fit.
      dry_run: show what would be made or removed.
      prune: remove unneeded parts instead of running.
      ask: confirm a removal.
    """

    file: Path
    output: Path
    arms: Sequence[str]
    seeds: Sequence[int]
    jobs: int | None
    dry_run: bool
    prune: bool
    ask: bool

    def run(self, logs: Sequence[str], data: Sequence[str]) -> bool:
        """Run it and print the results. Return whether every run succeeded.

        Args:
          logs: names of the logs to run, for a file with several.
          data: the folder of provided logs; ``NAME=FOLDER`` for a file with several.
        """
        if log_names(self.file):
            return self._run_several(logs, data)
        if logs:
            raise UserError(f"--log {logs[0]!r}: experiment {str(self.file)!r} has one log, so remove --log")
        if len(data) > 1:
            raise UserError(f"--data is given {len(data)} times, but experiment {str(self.file)!r} has one log: name "
                            "one folder")
        selection = Selection(Path(data[0]) if data else None, self.arms, self.seeds)
        return self._run_one(self.output, selection)

    def _run_several(self, logs: Sequence[str], data: Sequence[str]) -> bool:
        selected = select_logs(self.file, logs, data, self.arms, self.seeds)
        if self.dry_run or self.prune:
            for name, selection in selected.selections.items():
                console.print(Rule(name, align="left"))
                self._run_one(inside(self.output, name), selection)
            return True
        failed = []

        def run(folder: Path, selection: Selection) -> Mapping[str, Any]:
            console.print(Rule(str(selection.log), align="left"))
            results, succeeded = self._trained(folder, selection)
            failed.extend([] if succeeded else [selection.log])
            return results

        summary = run_logs(self.file, self.output, selected, run)
        console_tables.show_log_summary(summary, self.output, console)
        return not failed and not summary["failures"]

    def _run_one(self, output: Path, selection: Selection) -> bool:
        if self.prune:
            confirm = functools.partial(console_tables.confirm_removal, console=console, ask=self.ask,
                                        dry_run=self.dry_run)
            pruning.prune(self.file, output, selection, confirm)
            return True
        if self.dry_run:
            console_tables.show_plan(load_plan(self.file, selection), output, self.jobs or default_jobs(), console)
            return True
        return self._trained(output, selection)[1]

    def _trained(self, output: Path, selection: Selection) -> tuple[Mapping[str, Any], bool]:
        """Train and report one experiment. Return its results, and whether every run succeeded."""
        jobs = self.jobs or default_jobs()
        threads = max(1, (os.cpu_count() or 1) // jobs)
        plan = load_plan(self.file, selection)
        console_tables.show_estimate(plan, output, jobs, console)
        if isinstance(plan, StreamPlan):
            stream = run_stream(self.file, output, selection, jobs=jobs, threads=threads)
            results = write_stream(stream)
            summarize_stream(results, output)
            return results, not console_tables.show_failures(stream, console)
        study = run_experiment(self.file, output, selection, jobs=jobs, threads=threads)
        results = write_study(study)
        summarize(results, output)
        return results, not console_tables.show_failures(study, console)
