"""Compacts a version and its deltas to a full version."""

from __future__ import annotations

import dataclasses
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfrs_pretrain.artifact_names import EXTRA_ASSETS, FORGOTTEN, GOLDEN_REQUESTS, RANKER_KIND, SERVED_TABLES_KIND
from tfrs_pretrain.artifacts import manifest_text, read_manifest, write_text
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.finished_outputs import run_digest
from tfrs_pretrain.output_folders import unfinished_folder
from tfrs_pretrain.progress import progress
from tfrs_pretrain.serving.deltas.chain import Chain, read_chain
from tfrs_pretrain.serving.deltas.dense_part import RANKER_MANIFEST
from tfrs_pretrain.serving.deltas.state import ServedState, save_state_files
from tfrs_pretrain.serving.exporting.export import finished_version, publish
from tfrs_pretrain.serving.exporting.export_checks import check_answers, check_operations
from tfrs_pretrain.serving.exporting.extra_assets import TABLE_MANIFEST
from tfrs_pretrain.serving.exporting.golden_requests import GoldenRequest
from tfrs_pretrain.serving.exporting.logged_requests import read_logged_requests
from tfrs_pretrain.serving.exporting.memory import check_budget, folder_bytes
from tfrs_pretrain.serving.exporting.model_card import CARD_JSON, CARD_MARKDOWN
from tfrs_pretrain.serving.exporting.prediction_logs import write_prediction_logs
from tfrs_pretrain.serving.exporting.report import ExportedVersion, ExportReport, GoldenCheck
from tfrs_pretrain.serving.exporting.warmup import warmup_logs
from tfrs_pretrain.serving.graph.served_ranker import ServedRanker
from tfrs_pretrain.serving.graph.signatures import SavedModelContents, save
from tfrs_pretrain.serving.live.live_ranker import LiveRanker, LiveSettings
from tfrs_pretrain.serving.live.push_secret import KeyDigest
from tfrs_pretrain.serving.protocol.signature_names import SERVING_DEFAULT
from tfrs_pretrain.serving.signing import Signer
from tfrs_pretrain.serving.version_folder import GOLDEN_LOGS, WARMUP


def compact(base: Path, signer: Signer | None = None) -> ExportedVersion:
    """Writes the next version of a model from a version and all of its deltas.

    The new version serves the same vocabularies, rows and dense weights as the full export of the last delta's ranker,
    and therefore returns the same answers. Neither that ranker nor its dataset is read. It takes live updates if the
    base version does, with the same secret and the same share of spare places; the secret file is not read. If the
    latest version is that of an identical compaction, it is kept and returned.

    Args:
      base: folder of the base version, ``models/<name>/<version>``.
      signer: signs the new version; None: it has no signature.

    Raises:
      UserError: there are no deltas, the chain is not complete (see ``read_chain``), or the new version fails a check
        of ``export``.
    """
    base = base.resolve()  # "." has no name
    chain = read_chain(base)
    if not chain.deltas:
        raise UserError(f"version {str(base)!r} has no deltas, it is a full version already: use it as it is")
    digest = run_digest(compacted=chain.digest)
    if finished := finished_version(base.parent, digest, signer):
        return finished
    with (progress(f"compact {base.parent.name}/{base.name}") as meter,
          unfinished_folder(base.parent, "version") as stage):
        report = _build(stage, chain)
        target = publish(stage, base.parent, report, _card_writer(chain.deltas[-1].folder), digest, signer)
        meter.note(f"version {target.name}")
    return ExportedVersion(target, int(target.name), report)


def _build(stage: Path, chain: Chain) -> ExportReport:
    earlier, state = ExportReport.from_json(chain.report), chain.state()
    settings = _live_settings(chain.manifest)
    contents, live = _save(stage, state, settings)
    requests = read_logged_requests(chain.deltas[-1].folder / GOLDEN_LOGS)
    operations = check_operations(stage)
    answers = check_answers(stage, requests, earlier.check.tolerance, every_signature=not _has_lost_ids(chain))
    _write_extra_assets(stage, earlier.name, chain.deltas[-1].folder, requests, state, contents)
    return dataclasses.replace(
        earlier, config=_config(earlier, chain.manifest, settings), contents=contents, live=live,
        operations=operations, num_bytes=folder_bytes(stage),
        memory=check_budget(stage, answers.memory, earlier.memory.budget_bytes),
        check=GoldenCheck(earlier.check.impressions, earlier.check.tolerance, answers.signatures))


def _has_lost_ids(chain: Chain) -> bool:
    """Whether ids were forgotten, and with them perhaps all golden requests of a signature."""
    return any(FORGOTTEN in manifest for manifest in (chain.manifest, *(delta.manifest for delta in chain.deltas)))


def _live_settings(base: Mapping[str, Any]) -> LiveSettings | None:
    if "live" not in base:
        return None
    return LiveSettings(KeyDigest.from_json(base["live"]["key"]), base["config"]["export"]["live_spare"])


def _config(report: ExportReport, base: Mapping[str, Any], settings: LiveSettings | None) -> dict[str, Any]:
    """Configuration of the last delta; deltas themselves are exported without live updates."""
    if settings is None:
        return report.config
    live = {name: base["config"]["export"][name] for name in ("live_updates", "live_spare", "push_secret")}
    return report.config | {"export": report.config["export"] | live}


def _save(folder: Path, state: ServedState, settings: LiveSettings | None
          ) -> tuple[SavedModelContents, dict[str, Any] | None]:
    """Saves the model; returns its contents, and a description of its live updates (None: it takes none)."""
    stored = {name: state.table(name) for name in state.tables}
    with tempfile.TemporaryDirectory() as assets:
        if settings is None:
            return save(ServedRanker(state.dense.ranker, state, Path(assets), stored=stored), folder), None
        served = LiveRanker(state.dense.ranker, state, Path(assets), settings, stored=stored)
        return save(served, folder), served.described_updates()


def _write_extra_assets(stage: Path, name: str, delta: Path, requests: Sequence[GoldenRequest], state: ServedState,
                        contents: SavedModelContents) -> None:
    extra, ranker = stage / EXTRA_ASSETS, read_manifest(delta, RANKER_KIND, name=RANKER_MANIFEST)
    extra.mkdir()
    for file in (GOLDEN_LOGS, GOLDEN_REQUESTS, RANKER_MANIFEST):
        shutil.copyfile(delta / file, extra / file)
    raw = _raw_values(requests)
    write_prediction_logs(extra / WARMUP, warmup_logs(name, raw, contents.inputs) if raw else [])
    write_text(extra / TABLE_MANIFEST, manifest_text(SERVED_TABLES_KIND, {
        "tables": contents.tables, "pretrained": ranker["embeddings"]}))
    save_state_files(extra, state.dense.ranker, state.vocabulary)


def _raw_values(requests: Sequence[GoldenRequest]) -> dict[str, np.ndarray]:
    """Raw values of the golden impressions: the first request to ``serving_default``; none if all were forgotten."""
    return next((request.inputs for request in requests if request.signature == SERVING_DEFAULT), {})


def _card_writer(delta: Path) -> Callable[[Path, int], None]:
    """Returns a function that writes the model card of a delta with another version."""
    card = json.loads((delta / CARD_JSON).read_text())
    _, *lines = (delta / CARD_MARKDOWN).read_text().split("\n")

    def write(folder: Path, version: int) -> None:
        write_text(folder / CARD_JSON, json.dumps(card | {"version": version}, indent=2) + "\n")
        write_text(folder / CARD_MARKDOWN, "\n".join([f"# {card['name']}, version {version}", *lines]))

    return write
