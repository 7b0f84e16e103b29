"""Joins the outputs of build_vocabulary, build_pairs and build_impressions into one dataset.

    python -m beam_pipelines.join_dataset --vocabulary FOLDER --pairs FOLDER --impressions FOLDER --output FOLDER

The folders must have the same configuration and the same vocabularies. The output is byte-identical to that of
build_dataset. No pipeline is run.
"""

import argparse
import posixpath
import shutil
import sys
from typing import Any

from apache_beam.io.filesystem import BeamIOError

from beam_pipelines.jobs.job import RUN_FILE
from beam_pipelines.launching.dataset_info import merge_infos
from beam_pipelines.launching.finish_folder import finish_folder
from beam_pipelines.launching.finished_job import finished_or_refused, write_digest
from beam_pipelines.launching.output_folder import list_files, output_folder, refuse_overwriting_inputs
from beam_pipelines.records.files import atomic_write, check_file, open_file, read_manifest_file
from tfrs_pretrain.artifact_names import DATASET_INFO, DATASET_KIND, IMPRESSIONS_KIND, PAIRS_KIND, VOCABULARY_KIND
from tfrs_pretrain.config import first_difference
from tfrs_pretrain.data.dataset import IMPRESSION_SPLITS
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.file_digests import FILES
from tfrs_pretrain.finished_outputs import run_digest

KINDS = (VOCABULARY_KIND, PAIRS_KIND, IMPRESSIONS_KIND)


def join(folders: dict[str, str], output: str, *, overwrite: bool = False) -> None:
    """Writes a dataset from its parts.

    Args:
      folders: kind -> finished folder, for each of ``KINDS``.
      output: folder to write.
      overwrite: replace the contents of ``output``.

    Raises:
      UserError: a folder is unfinished, has another kind, configuration or vocabulary, lacks a split or has a damaged
        file; or ``output`` is not empty.
    """
    infos = {kind: _read_info(folder, kind) for kind, folder in folders.items()}
    for kind in KINDS[1:]:
        for section in ("config", "vocabularies"):
            if difference := first_difference(infos[KINDS[0]][section], infos[kind][section], section):
                raise UserError(f"{folders[KINDS[0]]!r} and {folders[kind]!r} are not parts of one dataset, they "
                                f"differ first in {difference}: build them with one configuration and --vocabulary "
                                f"{folders[KINDS[0]]}")
        _refuse_changed_logs(infos[KINDS[0]], infos[kind], folders[kind])
    missing = [split for split in IMPRESSION_SPLITS if split not in infos[IMPRESSIONS_KIND]["splits"]]
    if missing:
        raise UserError(f"{folders[IMPRESSIONS_KIND]!r} has no {missing[0]}: build it without --splits")
    refuse_overwriting_inputs(output, folders.values())
    digest = run_digest(kind=DATASET_KIND, parts=infos)
    if finished_or_refused(output, DATASET_KIND, lambda: digest, overwrite=overwrite):
        return
    with output_folder(output, overwrite=overwrite) as written:
        write_digest(written.folder, digest)
        for kind, folder in folders.items():
            for path in list_files(folder):
                if path not in (DATASET_INFO, RUN_FILE):
                    _copy(check_file(folder, infos[kind], path), posixpath.join(written.folder, path))
        parts = [{key: value for key, value in info.items()
                  if key not in ("kind", "code_version", FILES)} for info in infos.values()]
        finish_folder(written.folder, DATASET_KIND, merge_infos(*parts))


def _refuse_changed_logs(vocabulary: dict[str, Any], part: dict[str, Any], folder: str) -> None:
    for log in vocabulary["counts"].keys() & part["counts"].keys():
        for key in ("read", "rejected"):
            if (before := vocabulary["counts"][log][key]) != (after := part["counts"][log][key]):
                raise UserError(f"{folder!r} was built from other rows than the vocabularies: rows {key} of the "
                                f"{log} are {after} there, {before} here. The log changed between the jobs: run them "
                                "again")


def _read_info(folder: str, kind: str) -> dict[str, Any]:
    try:
        info = read_manifest_file(posixpath.join(folder, DATASET_INFO))
    except (BeamIOError, OSError, ValueError) as error:
        raise UserError(f"{folder!r} has no readable {DATASET_INFO}: name a folder that its job finished") from error
    if info.get("kind") != kind:
        raise UserError(f"{folder!r} has kind {info.get('kind')!r}, expected {kind!r}: name another folder")
    return dict(info)


def _copy(source: str, target: str) -> None:
    with open_file(source) as read, atomic_write(target) as write:
        shutil.copyfileobj(read, write)


def main(argv: list[str]) -> int:
    """Entry point of ``python -m``; reports a UserError in one line. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m beam_pipelines.join_dataset", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    for kind in KINDS:
        parser.add_argument(f"--{kind}", metavar="FOLDER", required=True, help=f"output folder of build_{kind}")
    parser.add_argument("--output", metavar="FOLDER", required=True, help="folder to write the dataset to")
    parser.add_argument("--overwrite", action="store_true", help="replace the contents of the output folder")
    arguments = vars(parser.parse_args(argv))
    try:
        join({kind: arguments[kind].rstrip("/") for kind in KINDS}, arguments["output"].rstrip("/"),
             overwrite=arguments["overwrite"])
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
