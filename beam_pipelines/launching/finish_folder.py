"""Finishes the output folder of a job: deletes intermediate files and writes the manifest."""

import json
import posixpath
from typing import Any

from apache_beam.io.filesystem import BeamIOError

from beam_pipelines.jobs.job import RESULTS_FOLDER, RUN_FILE
from beam_pipelines.launching.output_folder import UNFINISHED_MARKER, delete_files, list_files
from beam_pipelines.records.files import atomic_write, describe_file, is_temporary, listed_digest
from tfrs_pretrain.artifact_names import DATASET_INFO
from tfrs_pretrain.artifacts import manifest_text
from tfrs_pretrain.file_digests import FILES
from tfrs_pretrain.json_documents import without_digest


def finish_folder(folder: str, kind: str, info: dict[str, Any]) -> dict[str, Any]:
    """Deletes the intermediate results, writes the manifest and deletes the marker, in this order.

    Args:
      folder: output folder of the job.
      kind: kind of the manifest.
      info: content of the manifest; the digests of all files except shards, which it already has, are added.

    Returns:
      The manifest.
    """
    digests = {path: describe_file(posixpath.join(folder, path)) for path in list_files(folder)
               if path not in (RUN_FILE, UNFINISHED_MARKER) and not _is_intermediate(path)
               and not listed_digest(info, path)}
    text = manifest_text(kind, {**info, FILES: digests})
    _delete_intermediate(folder)
    with atomic_write(posixpath.join(folder, DATASET_INFO)) as file:
        file.write(text.encode())
    delete_files(folder, [UNFINISHED_MARKER])
    return without_digest(json.loads(text))


def _delete_intermediate(folder: str) -> None:
    """Deletes results and temporary files, also those of workers that the engine has given up and that still write."""
    while files := [path for path in list_files(folder) if _is_intermediate(path)]:
        try:
            delete_files(folder, files)
        except BeamIOError:  # such a worker may rename or delete its file at the same moment
            if files == [path for path in list_files(folder) if _is_intermediate(path)]:
                raise


def _is_intermediate(path: str) -> bool:
    return path.startswith(f"{RESULTS_FOLDER}/") or is_temporary(path)
