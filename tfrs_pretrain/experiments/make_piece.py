"""Make one piece of an experiment; called in a worker process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from beam_pipelines.build_dataset import build
from tfrs_pretrain.artifact_names import LOGS_KIND
from tfrs_pretrain.artifacts import check_artifact
from tfrs_pretrain.config import Config, FixedTeacherConfig, parse_config
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.demo import completejourney
from tfrs_pretrain.demo.config import CompleteJourneyConfig
from tfrs_pretrain.embeddings.artifact import Embeddings
from tfrs_pretrain.experiments.logs import gowalla, kuairand
from tfrs_pretrain.experiments.logs.planted import write_planted_logs
from tfrs_pretrain.experiments.logs.regimes import REGIMES, write_regime_logs
from tfrs_pretrain.experiments.piece_planner import CARRIED, CHAIN_KEYS
from tfrs_pretrain.experiments.pieces import DATASET, EMBEDDINGS, LOGS, PIECES
from tfrs_pretrain.pretraining.carried_rows import carry_rows
from tfrs_pretrain.pretraining.run import pretrain
from tfrs_pretrain.ranking.run import train_arm


def make_piece(kind: str, task: Mapping[str, Any], output: Path, root: Path) -> None:
    """Make a piece, or continue it from the checkpoint of an earlier process.

    Args:
      kind: kind of the piece, one of ``pieces.KINDS``.
      task: the piece's task, JSON values.
      output: folder to write.
      root: output folder of the experiment, which contains the other pieces.

    Raises:
      UserError: a stage refuses its input, or generated logs are damaged.
    """
    if kind == LOGS:
        _write_logs(task, output)
        return
    config = parse_config(task["config"], origin=str(output))
    earlier = {key: _folder(task[key], root) for key in ("extend", *CHAIN_KEYS) if key in task}
    if kind == DATASET:
        logs = _folder(task["logs"], root)
        if "kind" in task["logs"]:
            check_artifact(logs, LOGS_KIND)
        build(config, logs, output, ["--extend", str(extend)] if (extend := earlier.get("extend")) else None,
              overwrite=True)
        return
    dataset = Dataset.open(_folder(task["dataset"], root))
    if CARRIED in earlier:
        carry_rows(Embeddings.open(earlier[CARRIED]), dataset, output)
        return
    if kind == EMBEDDINGS:
        pretrain(config, dataset, output, overwrite=True, **earlier)
        return
    rows = _folder(task["embeddings"], root) if task["embeddings"] else None
    if task["teacher"]:
        config = _with_teacher(config, task["arm"], _folder(task["teacher"], root))
    train_arm(config, dataset, task["arm"], output, embeddings=rows, overwrite=True,
              test=task["test"], **earlier)


def _write_logs(task: Mapping[str, Any], output: Path) -> None:
    if task["source"] == "completejourney":
        settings = CompleteJourneyConfig.model_validate(task["completejourney"])
        completejourney.write_logs(settings, task["pretrain_end_week"], task["seed"], output, overwrite=True)
    elif task["source"] == "planted":
        write_planted_logs(output, **task["sizes"], seed=task["seed"], overwrite=True)
    elif task["source"] == "regime":
        write_regime_logs(output, REGIMES[task["regime"]].scaled(task["scale"]), seed=task["seed"], overwrite=True)
    elif task["source"] == "gowalla":
        gowalla.write_logs(Path(task["data"]), output, seed=task["seed"], overwrite=True)
    else:
        kuairand.write_logs(Path(task["data"]), output, overwrite=True, continued=task.get("continued", False))


def _folder(reference: Mapping[str, str], root: Path) -> Path:
    """Return the folder of a piece, or the folder that the user provided."""
    return Path(reference["folder"]) if "folder" in reference else root / PIECES / reference["kind"] / reference["name"]


def _with_teacher(config: Config, arm: str, teacher: Path) -> Config:
    settings = config.ranking.arms[arm]
    assert settings.distillation is not None  # the planner made it
    distillation = settings.distillation.model_copy(update={"teacher": FixedTeacherConfig(path=str(teacher))})
    arms = {arm: settings.model_copy(update={"distillation": distillation})}
    return config.model_copy(update={"ranking": config.ranking.model_copy(update={"arms": arms})})
