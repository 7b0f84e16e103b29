"""Exports what a ranker changes in a version, as the next delta of that version."""

from __future__ import annotations

import dataclasses
import errno
import shutil
from pathlib import Path
from typing import Any

from tfrs_pretrain.artifact_names import DELTA_KIND, EXTRA_ASSETS, GOLDEN_REQUESTS, RANKER_KIND
from tfrs_pretrain.artifacts import read_manifest, write_manifest
from tfrs_pretrain.config import Config
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.finished_outputs import RUN_DIGEST, report_finished, run_digest
from tfrs_pretrain.json_documents import json_digest
from tfrs_pretrain.output_folders import inside, remove_leftovers, unfinished_folder
from tfrs_pretrain.progress import progress
from tfrs_pretrain.serving.deltas.chain import Chain, delta_name, deltas_folder, read_chain
from tfrs_pretrain.serving.deltas.delta import StateChange
from tfrs_pretrain.serving.deltas.dense_part import RANKER_MANIFEST
from tfrs_pretrain.serving.deltas.state import read_state
from tfrs_pretrain.serving.exporting.export import build_version
from tfrs_pretrain.serving.exporting.memory import folder_bytes
from tfrs_pretrain.serving.exporting.model_card import ModelCard, evaluate_for_card
from tfrs_pretrain.serving.exporting.report import ExportReport
from tfrs_pretrain.serving.signing import Signer
from tfrs_pretrain.serving.version_folder import GOLDEN_LOGS

FULL = "full"  # name of the full version, which is built in the folder of deltas


@dataclasses.dataclass(frozen=True)
class ExportedDelta:
    """A delta that was written.

    Attributes:
      path: its folder, ``models/<name>/<version>.deltas/<number>``.
      manifest: its manifest.
    """

    path: Path
    manifest: dict[str, Any]

    def summary(self) -> list[str]:
        """Returns what changed, as sentences."""
        vocabularies = [f"{name}: {change['new']:,} new, {change['tombstones']:,} gone"
                        for name, change in self.manifest["vocabularies"].items()]
        tables = [f"{name}: {change['changed']:,} of {change['rows']:,}"
                  for name, change in self.manifest["tables"].items()]
        dense = "changed" if self.manifest["dense_changed"] else "unchanged"
        report = ExportReport.from_json(self.manifest["report"])
        return [f"Ids: {'; '.join(vocabularies) or 'unchanged'}.", f"Rows: {'; '.join(tables) or 'unchanged'}.",
                f"Dense weights: {dense}.",
                f"Size: {folder_bytes(self.path) / 1e6:,.1f} MB, of a full version {report.num_bytes / 1e6:,.1f} MB."]


def export_delta(config: Config, dataset: Dataset, ranker: Path, models: Path, version: int,
                 signer: Signer | None = None) -> ExportedDelta:
    """Writes the next ``models/<config.name>/<version>.deltas/NNNNNN/``.

    The full version is built and checked first, exactly as by ``export``, in a folder that is removed afterwards. The
    delta is the difference between it and the version with all of its deltas. If the last delta is that of an identical
    export, it is kept and returned.

    Args:
      config: configuration, as for ``export``.
      dataset: dataset on which the ranker was trained.
      ranker: folder of the ranker artifact.
      models: TensorFlow Serving's folder of models.
      version: base version.
      signer: signs the delta before it appears; None: it has no signature.

    Raises:
      UserError: as for ``export``; the chain is not complete (see ``read_chain``); the ranker has another structure
        than the base; or another process has written this delta meanwhile.
    """
    chain = read_chain(inside(models, config.name, str(version)))
    manifest = read_manifest(ranker, RANKER_KIND)
    digest = run_digest(config=config.resolved(), ranker=[str(ranker.resolve()), json_digest(manifest)],
                        dataset=json_digest(dataset.info), base=json_digest(chain.manifest))
    if chain.deltas and chain.deltas[-1].manifest[RUN_DIGEST] == digest:
        for name in (FULL, chain.deltas[-1].folder.name):  # of this run, if it was killed at its very end
            remove_leftovers(deltas_folder(chain.base) / name)
        report_finished(chain.deltas[-1].folder)
        if signer:
            signer.ensure(chain.deltas[-1].folder, _signed_name(config, version, chain.deltas[-1].folder))
        return ExportedDelta(chain.deltas[-1].folder, chain.deltas[-1].manifest)
    folder, number = deltas_folder(chain.base), delta_name(len(chain.deltas) + 1)
    with (progress(f"export delta {number} of {config.name}/{version}"),
          unfinished_folder(folder, FULL) as full, unfinished_folder(folder, number) as stage):
        report = build_version(full, _without_live_updates(config), dataset, ranker, manifest)
        _check_interface(chain, report)
        change = StateChange.between(chain.state(), read_state(full, report.to_json()))
        change.save(stage)
        for name in (GOLDEN_LOGS, GOLDEN_REQUESTS, RANKER_MANIFEST):
            shutil.copyfile(full / EXTRA_ASSETS / name, stage / name)
        evaluation = evaluate_for_card(ranker, manifest, report.contents.outputs.values())
        ModelCard(report, manifest, evaluation).write(stage, version)
        write_manifest(stage, DELTA_KIND, change.to_json() | {
            "base": {"version": version, "digest": json_digest(chain.manifest)}, "number": int(number),
            "predecessor": chain.digest, "report": report.to_json(), RUN_DIGEST: digest})
        if signer:
            signer.sign(stage, _signed_name(config, version, folder / number))
        _publish(stage, folder / number)
    return ExportedDelta(folder / number, read_manifest(folder / number, DELTA_KIND))


def _signed_name(config: Config, version: int, delta: Path) -> str:
    return f"{config.name}/{version}.deltas/{delta.name}"


def _without_live_updates(config: Config) -> Config:
    return config.model_copy(update={"export": config.export.model_copy(update={"live_updates": False})})


def _check_interface(chain: Chain, report: ExportReport) -> None:
    """Raises UserError if requests to the base version would be answered otherwise than by the new model."""
    contents = report.contents.to_json()
    for part in ("inputs", "outputs", "classes"):
        expected, found = chain.manifest[part], contents[part]
        if found != expected:
            raise UserError(f"the {part} of this model are {found}, those of version {chain.manifest['version']} "
                            f"{expected}: export a full version, without --delta-of")


def _publish(stage: Path, target: Path) -> None:
    try:
        stage.rename(target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        raise UserError(f"delta {str(target)!r} was written by another process meanwhile: run the command again"
                        ) from error
