"""Reads and writes complete files on any file system that Beam supports."""

import contextlib
import glob
import json
import os
import posixpath
import re
import shutil
import tempfile
import uuid
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import apache_beam as beam
from apache_beam.io.filesystem import BeamIOError, CompressionTypes, MatchResult
from apache_beam.io.filesystems import FileSystems

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.file_digests import FILES, FileDigest, compare, describe_content
from tfrs_pretrain.json_documents import check_document, without_digest
from tfrs_pretrain.output_folders import recover

FileState = tuple[int, float]  # size in bytes, time of the last change in seconds (0 if unknown)

ESCAPED = re.compile(r"\[[*?[]\]")  # a character that ``escape`` has escaped
TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}")


def list_table_files(table: str, pattern: str, suffixes: tuple[str, ...] = (".parquet",)) -> dict[str, FileState]:
    """Lists the files of a table, sorted by path, with one request for a pattern, not one for a file.

    Args:
      table: name for messages.
      pattern: file, folder of files with one of the suffixes, in it or in its folders, or glob pattern.
      suffixes: file name suffixes to take from a folder.

    Returns:
      Path -> size and time of the last change.

    Raises:
      UserError: no file matches, or a matching one cannot be read.
    """
    pattern_of_files = escape_existing(pattern.rstrip("/") or "/")
    # "**" also matches names of folders.
    patterns = [pattern_of_files, *(posixpath.join(pattern_of_files, f"**{suffix}") for suffix in suffixes)]
    try:
        matched = [result.metadata_list for result in match(patterns)]
    except (BeamIOError, ValueError, OSError) as error:
        raise UserError(f"table {table}: {pattern!r} cannot be listed ({error}): correct dataset.sources.{table} "
                        "or --raw") from error
    # A local folder matches its own name too.
    exact, *inside = [{metadata.path: (metadata.size_in_bytes, metadata.last_updated_in_seconds) for metadata in found
                       if not Path(metadata.path).is_dir() and not _is_hidden(metadata.path, pattern_of_files)}
                      for found in matched]
    in_folders = {path: state for states in inside for path, state in states.items()}
    paths = dict(sorted((in_folders or exact).items()))
    if not paths:
        raise UserError(f"table {table}: no file at {pattern!r}, expected a file, a folder of {' or '.join(suffixes)} "
                        f"files or a glob pattern; correct dataset.sources.{table} or --raw")
    _refuse_mixed_depths(table, pattern_of_files, in_folders.keys())
    if "://" not in pattern:
        inner = [posixpath.join(pattern_of_files, f"**/*{suffix}") for suffix in suffixes]
        _refuse_left_out(table, inner if in_folders else patterns[:1], suffixes, paths)
    return paths


def _refuse_mixed_depths(table: str, pattern: str, paths: Iterable[str]) -> None:
    """Refuses a folder of files and of folders with files: it is unknown whether the latter belong to the table."""
    is_nested = {path: path.count("/") > pattern.count("/") + 1 for path in paths}
    if "**" not in pattern and len(set(is_nested.values())) > 1:
        direct, nested = (min(path for path in paths if is_nested[path] == value) for value in (False, True))
        raise UserError(f"table {table}: {pattern!r} contains files, such as {direct!r}, and also folders with files, "
                        f"such as {nested!r}: name those that belong to the table by a pattern in dataset.sources."
                        f"{table}, {pattern + '/*'!r} or {pattern + '/**'!r}")


def match(patterns: list[str]) -> list[MatchResult]:
    """Returns the files that match each pattern, on any file system; escaped characters cause no warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        results: list[MatchResult] = FileSystems.match(patterns)
    return results


def delete(paths: list[str]) -> None:
    """Deletes files, on any file system; none of the paths is a pattern."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        FileSystems.delete([escape(path) for path in paths])


def escape_existing(pattern: str) -> str:
    """Escapes the longest part of a local pattern that is the path of a file or folder, such as ``run[1]/*.csv``."""
    if "://" in pattern:
        return pattern
    literal, rest = pattern, ""
    while literal and not os.path.lexists(literal):
        literal, _, name = literal.rpartition("/")
        rest = f"/{name}{rest}"
    return escape(literal) + rest if literal else pattern


def escape(path: str) -> str:
    """Escapes the characters of a path that would be wildcards of a pattern."""
    scheme, separator, rest = path.rpartition("://")
    escaped = scheme + separator + glob.escape(rest)
    # Beam lists no folder for a relative pattern whose first name has a wildcard.
    return escaped if escaped == path or scheme or posixpath.isabs(path) else f"./{escaped}"


def _is_hidden(path: str, pattern: str) -> bool:
    """Whether a file or a folder of it is hidden, such as ``._x.parquet`` of macOS or ``_temporary`` of Spark.

    A pattern whose name begins with the same character takes it. ``_x=1`` names a column.
    """
    names = pattern.split("/")
    literal = next((place for place, name in enumerate(names) if glob.has_magic(ESCAPED.sub("", name))), len(names))
    shown = names[-1][:1] if literal < len(names) else ""
    return any(name.startswith((".", "_")) and name[0] != shown and not (name[0] == "_" and "=" in name)
               for name in path.split("/")[literal:])


def _refuse_left_out(table: str, patterns: list[str], suffixes: tuple[str, ...], paths: Iterable[str]) -> None:
    """Refuses local names that match but are left out of the listing, which would lose their rows without a word."""
    # Path.glob accepts relative patterns only.
    for name in sorted(name for pattern in patterns for name in glob.glob(pattern, recursive=True)  # noqa: PTH207
                       if not _is_hidden(name, pattern)):
        if not os.access(name, os.R_OK):
            raise UserError(f"table {table}: {name!r} cannot be read (a link to a missing file, or no permission): "
                            "restore it, or move it away")
        if name.endswith(suffixes) and Path(name).is_dir() and not any(path.startswith(f"{name}/") for path in paths):
            raise UserError(f"table {table}: {name!r} is a folder among files: name its files by a pattern, or move it "
                            "away")


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
            delete([temporary])
        if isinstance(error, OSError):
            raise UserError(f"{path!r} cannot be written ({' '.join(str(error).split())}): check the path, its "
                            "permissions and the free space") from error
        raise


def is_temporary(path: str) -> bool:
    """Whether a file has a temporary name of ``atomic_write``: its writer was killed, or still runs."""
    return bool(TEMPORARY.fullmatch(posixpath.basename(path)))


@contextlib.contextmanager
def local_output(path: str) -> Iterator[Path]:
    """Yields the path of a local file to write, which is copied to ``path`` if the body succeeds."""
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder, "content")
        yield local
        with local.open("rb") as source, atomic_write(path) as file:
            shutil.copyfileobj(source, file)


def read_json(path: str) -> Any:
    """Reads a JSON file."""
    with open_file(path) as file:
        return json.loads(file.read())


def read_manifest_file(path: str) -> Any:
    """Reads a manifest and compares its content with its own digest.

    Raises:
      UserError: the content changed after it was written.
      OSError, ValueError: the file cannot be read, or is not JSON.
    """
    if "://" not in path:
        recover(Path(path).parent)
    manifest = read_json(path)
    if not isinstance(manifest, dict):
        return manifest
    check_document(manifest, path)
    return without_digest(manifest)


def describe_file(path: str) -> FileDigest:
    """Returns size and CRC-32C of a file."""
    with open_file(path) as file:
        return describe_content(file)


def listed_digest(manifest: dict[str, Any], name: str) -> FileDigest | None:
    """Returns the digest that a dataset's manifest contains for a file; None if an older version wrote it."""
    shards = {shard["path"]: shard for split in manifest.get("splits", {}).values() for shard in split["shards"]}
    listed: FileDigest | None = (shards | manifest.get(FILES, {})).get(name)
    return listed


def check_file(folder: str, manifest: dict[str, Any], name: str) -> str:
    """Returns the path of a dataset's file after comparing the file with the manifest.

    Raises:
      UserError: the file is missing or has changed.
    """
    path, expected = posixpath.join(folder, name), listed_digest(manifest, name)
    if expected:
        try:
            compare(path, expected, describe_file(path))
        except OSError:
            compare(path, expected, None)
    return path


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
