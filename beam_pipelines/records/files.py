"""Reads and writes complete files on any file system that Beam supports."""

import contextlib
import json
import posixpath
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import apache_beam as beam
from apache_beam.io.filesystem import BeamIOError, CompressionTypes
from apache_beam.io.filesystems import FileSystems

from tfrs_pretrain.errors import UserError


def list_table_files(table: str, pattern: str, suffixes: tuple[str, ...] = (".parquet",)) -> list[str]:
    """Lists the files of a table, sorted by path.

    Args:
      table: name for messages.
      pattern: file, folder of files with one of the suffixes, or glob pattern.
      suffixes: file name suffixes to take from a folder.

    Raises:
      UserError: no file matches.
    """
    patterns = [pattern, *(posixpath.join(pattern, f"*{suffix}") for suffix in suffixes)]
    try:
        matched = [result.metadata_list for result in FileSystems.match(patterns)]
    except (BeamIOError, ValueError, OSError) as error:
        raise UserError(f"table {table}: {pattern!r} cannot be listed ({error}): correct dataset.sources.{table} "
                        "or --raw") from error
    inside = [metadata for found in matched[1:] for metadata in found]
    # A local folder matches its own name too.
    paths = sorted(metadata.path for metadata in inside or matched[0] if not Path(metadata.path).is_dir())
    if not paths:
        raise UserError(f"table {table}: no file at {pattern!r}, expected a file, a folder of {' or '.join(suffixes)} "
                        f"files or a glob pattern; correct dataset.sources.{table} or --raw")
    return paths


def open_file(path: str) -> BinaryIO:
    """Opens a file for reading, without decompression."""
    file: BinaryIO = FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED)
    return file


@contextlib.contextmanager
def atomic_write(path: str) -> Iterator[BinaryIO]:
    """Yields a file under a temporary name and renames it to ``path`` if the body succeeds.

    Each attempt of a retried worker uses another temporary name, so readers never see an incomplete file.

    Raises:
      UserError: the file system refuses, for example for lack of permission or space.
    """
    folder, name = posixpath.split(path)
    temporary = posixpath.join(folder, f".{name}.{uuid.uuid4().hex[:8]}")
    # Beam raises if another worker creates the folder at the same moment.
    with contextlib.suppress(OSError):
        FileSystems.mkdirs(folder)
    try:
        with FileSystems.create(temporary, compression_type=CompressionTypes.UNCOMPRESSED) as file:
            yield file
        FileSystems.rename([temporary], [path])
    except BaseException as error:
        with contextlib.suppress(OSError):  # the temporary file may not exist
            FileSystems.delete([temporary])
        if isinstance(error, OSError):
            raise UserError(f"{path!r} cannot be written ({' '.join(str(error).split())}): check the path, its "
                            "permissions and the free space") from error
        raise


def read_json(path: str) -> Any:
    """Reads a JSON file."""
    with open_file(path) as file:
        return json.loads(file.read())


class WriteJson(beam.PTransform):
    """Writes the only element of a PCollection as JSON, for the process that launched the job."""

    def __init__(self, path: str):
        super().__init__()
        self._path = path

    def expand(self, value: beam.PCollection[Any]) -> beam.PCollection[str]:
        return value | "WriteJson" >> beam.Map(_write_json, self._path)


def _write_json(value: Any, path: str) -> str:
    with atomic_write(path) as file:
        file.write(json.dumps(value, sort_keys=True).encode())
    return path
