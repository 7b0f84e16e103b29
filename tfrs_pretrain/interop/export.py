"""Export of pretrained rows in a format that other programs read.

::

    <table>.<suffix>       ids, vectors and counts; an index has its ids in <table>.ids.parquet
    manifest.json          format, similarity, numbers of ids, origin, digests of the files; written last
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tfrs_pretrain.artifact_names import EMBEDDINGS_EXPORT_KIND, MANIFEST
from tfrs_pretrain.artifacts import file_digest, write_manifest
from tfrs_pretrain.embeddings.artifact import Embeddings
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.finished_outputs import RUN_DIGEST, finished_output, run_digest
from tfrs_pretrain.interop.array_formats import write_npz, write_safetensors
from tfrs_pretrain.interop.id_rows import IdRows, similarity
from tfrs_pretrain.interop.index_formats import write_faiss, write_hnswlib
from tfrs_pretrain.interop.record_formats import write_csv, write_parquet, write_tfrecord
from tfrs_pretrain.output_folders import inside, staged_folder
from tfrs_pretrain.progress import progress

RECORDS: dict[str, Callable[[Path, IdRows], None]] = {
    "parquet": write_parquet, "npz": write_npz, "tfrecord": write_tfrecord, "csv": write_csv,
    "safetensors": write_safetensors}
INDEXES: dict[str, Callable[[Path, IdRows, str], None]] = {"hnswlib": write_hnswlib, "faiss": write_faiss}
FORMATS = (*RECORDS, *INDEXES)


def export_rows(embeddings: Embeddings, output: Path, file_format: str, *, tables: Sequence[str] = (),
                overwrite: bool = False) -> dict[str, Any]:
    """Writes the vectors of all ids and returns the manifest; an identical export is kept.

    Rows that unknown ids share, and free rows, are left out. The vectors are the rows as trained, except in an index
    for cosine similarity, where they have length 1.

    Args:
      embeddings: the artifact.
      output: folder to write.
      file_format: one of ``FORMATS``.
      tables: names of the tables (default: all).
      overwrite: replace an existing folder.

    Raises:
      UserError: the format or a table is unknown, a package is missing, or another output exists.
    """
    if file_format not in FORMATS:
        raise UserError(f"format {file_format!r} is unknown: choose one of {', '.join(FORMATS)}")
    read = {name: IdRows.read(embeddings, name) for name in tables or embeddings.tables}
    digest = run_digest(embeddings=file_digest(embeddings.folder / MANIFEST), format=file_format, tables=list(read))
    if finished := finished_output(output, EMBEDDINGS_EXPORT_KIND, digest, overwrite=overwrite):
        return finished
    total = sum(map(len, read.values()))
    compared_by = similarity(embeddings)
    with progress(f"export {file_format}", total=total, unit="ids") as meter, staged_folder(
            output, overwrite=overwrite) as stage:
        for name, table in read.items():
            path = inside(stage, f"{name}.{file_format}")
            if file_format in INDEXES:
                INDEXES[file_format](path, table, compared_by)
            else:
                RECORDS[file_format](path, table)
            meter.advance(len(table))
        manifest = {
            "format": file_format, "similarity": compared_by, "window": embeddings.manifest["window"],
            "tables": {name: {"ids": len(table), "dim": table.dim} for name, table in read.items()},
            "embeddings_digest": file_digest(embeddings.folder / MANIFEST), RUN_DIGEST: digest}
        write_manifest(stage, EMBEDDINGS_EXPORT_KIND, manifest)
    return manifest
