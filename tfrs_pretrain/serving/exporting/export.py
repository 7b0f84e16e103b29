"""Exports a ranker artifact as a checked, numbered version for TensorFlow Serving."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tfrs_pretrain.artifact_names import EXTRA_ASSETS, RANKER_KIND, SAVED_MODEL_KIND
from tfrs_pretrain.artifacts import check_saved_model, read_manifest, write_manifest
from tfrs_pretrain.config import Config, ExportConfig
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.finished_outputs import RUN_DIGEST, read_output_of, report_finished, run_digest
from tfrs_pretrain.json_documents import json_digest
from tfrs_pretrain.output_folders import inside, remove_leftovers, unfinished_folder
from tfrs_pretrain.progress import progress
from tfrs_pretrain.ranking.model.artifact import load_ranker
from tfrs_pretrain.ranking.model.ranker import Ranker
from tfrs_pretrain.serving.deltas.state import save_state_files
from tfrs_pretrain.serving.exporting.export_checks import check_answers, check_operations
from tfrs_pretrain.serving.exporting.extra_assets import write_extra_assets
from tfrs_pretrain.serving.exporting.golden_impressions import read_golden_impressions
from tfrs_pretrain.serving.exporting.golden_requests import golden_requests
from tfrs_pretrain.serving.exporting.memory import check_budget, folder_bytes
from tfrs_pretrain.serving.exporting.model_card import ModelCard, evaluate_for_card
from tfrs_pretrain.serving.exporting.quantization import QuantizationCost, quantization_cost, quantized
from tfrs_pretrain.serving.exporting.reference_scorer import ReferenceScorer
from tfrs_pretrain.serving.exporting.report import ExportedVersion, ExportReport, GoldenCheck
from tfrs_pretrain.serving.graph.served_ranker import ServedRanker
from tfrs_pretrain.serving.graph.signatures import SavedModelContents, save
from tfrs_pretrain.serving.live.live_ranker import LiveRanker, LiveSettings
from tfrs_pretrain.serving.live.push_secret import KeyDigest, read_key
from tfrs_pretrain.serving.signing import Signer
from tfrs_pretrain.system_errors import naming


def export(config: Config, dataset: Dataset, ranker: Path, models: Path = Path("saved_models"), *,
           signer: Signer | None = None) -> ExportedVersion:
    """Writes ``models/<config.name>/<next version>/``.

    The version appears under its number only after all checks have passed (see ``export_checks``), so a server that
    polls the folder sees a complete version or nothing. Several exports into one folder may run at once. If the latest
    version is of an identical export, it is kept and returned.

    Args:
      config: configuration with name, dtype of the tables, tolerances and memory budget.
      dataset: dataset on which the ranker was trained.
      ranker: folder of the ranker artifact.
      models: TensorFlow Serving's folder of models.
      signer: signs the version before it appears; None: it has no signature.

    Raises:
      UserError: the ranker or the dataset's golden impressions do not match, an answer differs by more than
        ``export.tolerance``, quantization costs more than ``export.table_tolerance``, the graph uses foreign
        operations, or two versions do not fit into ``export.memory_budget_bytes``.
    """
    folder = inside(models, config.name)
    manifest = read_manifest(ranker, RANKER_KIND)
    digest = run_digest(config=config.resolved(), ranker=[str(ranker.resolve()), json_digest(manifest)],
                        dataset=json_digest(dataset.info))
    if (finished := finished_version(folder, digest, signer)) and _has_key(finished, config.export):
        return finished
    with (progress(f"export {config.name}") as meter, unfinished_folder(folder, "version") as stage, naming(folder)):
        report = build_version(stage, config, dataset, ranker, manifest)
        card = ModelCard(report, manifest, evaluate_for_card(ranker, manifest, report.contents.outputs.values()))
        target = publish(stage, folder, report, card.write, digest, signer)
        meter.note(f"version {target.name}")
    return ExportedVersion(target, int(target.name), report)


def next_version(folder: Path) -> int:
    """Returns the highest version number in a model's folder plus 1; 1 for an empty folder."""
    return _latest_version(folder) + 1


def _latest_version(folder: Path) -> int:
    return max((int(path.name) for path in folder.glob("*") if path.name.isdecimal()), default=0)


def finished_version(folder: Path, digest: str, signer: Signer | None = None) -> ExportedVersion | None:
    """Returns the latest version if an identical export has written it and it is undamaged; signs it if needed."""
    version = _latest_version(folder)
    path = folder / str(version)
    manifest = read_output_of(path / EXTRA_ASSETS, SAVED_MODEL_KIND, digest)
    if manifest is None:
        return None
    try:
        check_saved_model(path)
    except UserError:
        return None  # damaged: the next version replaces it
    remove_leftovers(folder / "version")
    report_finished(path)
    if signer:
        signer.ensure(path, f"{folder.name}/{version}")
    return ExportedVersion(path, version, ExportReport.from_json(manifest))


def build_version(stage: Path, config: Config, dataset: Dataset, ranker: Path, manifest: dict[str, Any]
                  ) -> ExportReport:
    """Writes the SavedModel with its extra assets to ``stage`` and checks it; see ``export``."""
    settings = config.export
    served, cost = _quantize(load_ranker(ranker, dataset), dataset, settings)
    golden = read_golden_impressions(dataset, served)
    contents, live = _save(stage, served, dataset, settings)
    operations = check_operations(stage)
    requests = golden_requests(golden, ReferenceScorer(served, dataset), contents.inputs, contents.classes)
    answers = check_answers(stage, requests, settings.tolerance)
    write_extra_assets(stage, config.name, golden, requests, contents, manifest)
    save_state_files(stage / EXTRA_ASSETS, served, dataset.vocabulary)
    return ExportReport(
        name=config.name, arm=manifest["arm"], ranker=str(ranker.resolve()), ranker_digest=json_digest(manifest),
        dataset_digest=json_digest(dataset.info),
        vocabularies={name: dataset.digests[name] for name in served.inputs.tables.values()},
        windows=dataset.windows.model_dump(mode="json"), config=config.resolved(), contents=contents, table_cost=cost,
        operations=operations, num_bytes=folder_bytes(stage),
        memory=check_budget(stage, answers.memory, settings.memory_budget_bytes),
        check=GoldenCheck(len(golden.keys), settings.tolerance, answers.signatures), live=live)


def _quantize(trained: Ranker, dataset: Dataset, settings: ExportConfig) -> tuple[Ranker, QuantizationCost | None]:
    """Returns the ranker with the tables to serve, and the cost of quantization (None: no quantization)."""
    if settings.table_dtype == "float32":
        return trained, None
    served = quantized(trained, settings.table_dtype)
    return served, quantization_cost(trained, served, dataset, settings.table_tolerance)


def _save(folder: Path, ranker: Ranker, dataset: Dataset, settings: ExportConfig
          ) -> tuple[SavedModelContents, dict[str, Any] | None]:
    """Saves the model; returns its contents, and a description of its live updates (None: it takes none)."""
    with tempfile.TemporaryDirectory() as assets:
        with naming(Path(tempfile.gettempdir())):
            served = _served(ranker, dataset, Path(assets), settings)
        contents = save(served, folder)
    return contents, served.described_updates() if isinstance(served, LiveRanker) else None


def _served(ranker: Ranker, dataset: Dataset, assets: Path, settings: ExportConfig) -> ServedRanker:
    if not settings.live_updates:
        return ServedRanker(ranker, dataset, assets, settings.table_dtype)
    live = LiveSettings(_key(settings), settings.live_spare)
    return LiveRanker(ranker, dataset, assets, live, settings.table_dtype)


def _key(settings: ExportConfig) -> bytes:
    if settings.push_secret is None:
        raise UserError("export.live_updates needs export.push_secret, a file that `openssl rand -hex 32` fills: a "
                        "server without a secret would take rows from everybody")
    return read_key(Path(settings.push_secret))


def _has_key(version: ExportedVersion, settings: ExportConfig) -> bool:
    live = version.report.live
    return live is None or KeyDigest.from_json(live["key"]).matches(_key(settings))


def publish(stage: Path, folder: Path, report: ExportReport, write_card: Callable[[Path, int], None], digest: str,
            signer: Signer | None = None) -> Path:
    """Writes the files that contain the version number, manifest and signature last, and renames the stage to it.

    Args:
      stage: folder of the complete version.
      folder: folder of the model.
      report: report of the export.
      write_card: writes the model card to a folder for a version.
      digest: ``run_digest`` of the run.
      signer: signs the version, if it shall be signed.

    Returns:
      Folder of the version.
    """
    while True:
        version = next_version(folder)
        write_card(stage / EXTRA_ASSETS, version)
        write_manifest(stage / EXTRA_ASSETS, SAVED_MODEL_KIND, report.to_json() | {
            "version": version, RUN_DIGEST: digest}, root=stage)
        if signer:
            signer.sign(stage, f"{report.name}/{version}")
        try:
            return stage.rename(folder / str(version))
        except OSError as error:
            # Another export took this number in the meantime: try the next one.
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
