"""Stages for the fault campaign: their commands on tiny logs, what is there before, and how their output is read."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import planted
import yaml
from faulty_commands import Commands, Ended

from tfrs_pretrain.experiments.logs.planted import write_planted_logs

# Imported once, before any fork.
MODULES = ("tfrs_pretrain.cli", "beam_pipelines.build_dataset", "artifact_readers", "faiss",
           "tfrs_pretrain.pretraining.run", "tfrs_pretrain.ranking.run", "tfrs_pretrain.retrieval.build",
           "tfrs_pretrain.serving.exporting.export")
MODEL = "planted_ranker"
GATE = {"min_impressions": 1, "thresholds": {"log_loss": {"max": 10.0}}, "replicates": 100}
MODELS_CONFIG = """model_config_list {{
  config {{
    name: "{name}"
    base_path: "{folder}"
    model_platform: "tensorflow"
    model_version_policy {{ specific {{ versions: 1 versions: 2 }} }}
    version_labels {{ key: "stable" value: 1 }}
  }}
}}
"""


@dataclass(frozen=True)
class Stage:
    """A command, and the folder that it changes.

    Attributes:
      command: words of the command line; ``{inputs}`` and ``{work}`` stand for folders.
      output: what the command writes, relative to the work folder.
      reader: function of ``artifact_readers`` that reads the output as the next stage does.
      before: what is there before, name in the work folder -> name in the inputs.
      needs: inputs that the command reads or replaces.
      measured: files of the output with measured values, which two runs may round alike.
      same: input that is the output of the same command with the same inputs; empty if there is none.
    """

    command: str
    output: str
    reader: str
    before: dict[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    same: str = ""
    measured: tuple[str, ...] = ()

    def prepare(self, inputs: Path, work: Path) -> None:
        """Make the work folder as it is before the command."""
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        for name, source in self.before.items():
            copy = shutil.copytree if (inputs / source).is_dir() else shutil.copyfile
            copy(inputs / source, work / name)

    def run(self, commands: Commands, inputs: Path, work: Path, *, mode: str = "OFF", at: int = 0) -> Ended:
        """Run the command; operations in the work folder count."""
        return commands.run(*self.command.format(inputs=inputs, work=work).split(), folder=work, mode=mode, at=at)

    def read(self, commands: Commands, work: Path) -> Ended:
        """Read the output."""
        return commands.call(f"artifact_readers:{self.reader}", work / self.output, folder=work)


def _pair(command: str, output: str, reader: str, *needs: str) -> dict[str, Stage]:
    """The command into a new folder, and with --overwrite over an older output."""
    name = command.partition(" ")[0]
    return {name: Stage(command, output, reader, needs=(*needs, output), same=output),
            f"{name} --overwrite": Stage(f"{command} --overwrite", output, reader, {output: f"old_{output}"},
                                         needs=(*needs, output, f"old_{output}"), same=output)}


STAGES = {
    **_pair("dataset --config {inputs}/config.yaml --raw {inputs}/raw --output {work}/dataset", "dataset", "dataset"),
    "dataset --extend": Stage("dataset --config {inputs}/config.yaml --raw {inputs}/raw --output {work}/dataset "
                              "--extend {inputs}/old_dataset", "dataset", "dataset", needs=("old_dataset",)),
    **_pair("pretrain --dataset {inputs}/dataset --output {work}/embeddings", "embeddings", "embeddings", "dataset"),
    **_pair("train-ranker --dataset {inputs}/dataset --embeddings {inputs}/embeddings --arm warm_start "
            "--output {work}/ranker", "ranker", "ranker", "embeddings"),
    **_pair("index --embeddings {inputs}/embeddings --output {work}/index", "index", "index", "embeddings"),
    "export": Stage("export --dataset {inputs}/dataset --ranker {inputs}/ranker --models {work}/models",
                    f"models/{MODEL}", "versions", {"models": "old_models"}, needs=("ranker", "old_models"),
                    measured=("2/assets.extra/model_card.md", "2/assets.extra/model_card.json")),
    "promote": Stage(f"promote {{inputs}}/models/{MODEL}/2 --first --gate {{inputs}}/gate.yaml --label stable "
                     "--models-config {work}/models.config --json {work}/verdict.json", "models.config", "labels",
                     {"models.config": "models.config"}, needs=("models",)),
}


class Inputs:
    """Inputs of the stages, each made when a stage first needs it; the old ones with another seed.

    Args:
      commands: to run the stages with.
      folder: folder to write.
    """

    def __init__(self, commands: Commands, folder: Path):
        self.folder = folder
        self._commands = commands
        for name, seed in (("raw", 1), ("old_raw", 2)):
            write_planted_logs(folder / name, users=40, items=30, engagements=600, impressions=400, seed=seed)
        (folder / "config.yaml").write_text(yaml.safe_dump(_config()))
        (folder / "gate.yaml").write_text(json.dumps(GATE))
        (folder / "models.config").write_text(MODELS_CONFIG.format(name=MODEL, folder=folder / "models" / MODEL))

    def make(self, *names: str) -> None:
        """Make the inputs with these names, and what they need, unless they are there."""
        for name in names:
            if not (self.folder / name).exists():
                needs, *commands = _INPUTS[name]
                self.make(*needs.split())
                for command in commands:
                    self.run(command)

    def run(self, command: str) -> None:
        """Run a command, which must succeed."""
        ended = self._commands.run(*command.format(inputs=self.folder).split(), folder=self.folder)
        assert ended.status == 0, ended.output


_RANK = "train-ranker --dataset {inputs}/dataset --embeddings {inputs}/embeddings --arm warm_start"
_EXPORT = "export --dataset {inputs}/dataset --ranker {inputs}"
# Name -> what it needs, and the commands that make it.
_INPUTS = {
    "dataset": ("", "dataset --config {inputs}/config.yaml --raw {inputs}/raw --output {inputs}/dataset"),
    "old_dataset": ("", "dataset --config {inputs}/config.yaml --raw {inputs}/old_raw --output {inputs}/old_dataset"),
    "embeddings": ("dataset", "pretrain --dataset {inputs}/dataset --output {inputs}/embeddings"),
    "old_embeddings": ("dataset", "pretrain --dataset {inputs}/dataset --output {inputs}/old_embeddings --set seed=8"),
    "ranker": ("embeddings", _RANK + " --output {inputs}/ranker"),
    "old_ranker": ("embeddings", _RANK + " --output {inputs}/old_ranker --set seed=8"),
    "index": ("embeddings", "index --embeddings {inputs}/embeddings --output {inputs}/index"),
    "old_index": ("old_embeddings", "index --embeddings {inputs}/old_embeddings --output {inputs}/old_index"),
    "old_models": ("old_ranker", _EXPORT + "/old_ranker --models {inputs}/old_models"),
    "models": ("old_ranker ranker", _EXPORT + "/old_ranker --models {inputs}/models",
               _EXPORT + "/ranker --models {inputs}/models"),
}


def _config() -> dict[str, object]:
    tree = planted.planted_config()
    tree["dataset"] |= {"shards": 1, "golden_examples": 8, "heldout_fraction": 0.2}
    tree["pretraining"] |= {"epochs": 1, "batch_size": 64}
    tree["ranking"] |= {"batch_size": 32}
    tree["export"] = {"arm": "warm_start"}
    return tree
