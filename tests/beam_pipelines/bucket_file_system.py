"""An object store for Beam, in a local folder. Importing this module registers it."""

import os
import re
from pathlib import Path

import pytest
from apache_beam.io.filesystem import FileMetadata, FileSystem, MatchResult
from apache_beam.io.localfilesystem import LocalFileSystem


class BucketFileSystem(LocalFileSystem):
    """Maps ``bucket://`` to the local folder $BUCKET_ROOT. Like object stores, it has no folders."""

    @staticmethod
    def create_bucket(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Creates the local folder and returns it."""
        (folder / "objects").mkdir()
        monkeypatch.setenv("BUCKET_ROOT", str(folder / "objects"))
        return folder / "objects"

    @classmethod
    def scheme(cls):
        return "bucket"

    def _local(self, path):
        return path.replace("bucket://", os.environ["BUCKET_ROOT"] + "/")

    def join(self, basepath, *paths):
        return "/".join([basepath.rstrip("/"), *paths])

    def has_dirs(self):
        return False

    def mkdirs(self, path):
        Path(self._local(path)).mkdir(parents=True)

    def match(self, patterns, limits=None):
        root = self._local("bucket://")
        for pattern in patterns:
            assert pattern.startswith("bucket://")
        expression = [FileSystem.translate_pattern(pattern) for pattern in patterns]
        files = ["bucket://" + str(path.relative_to(root)) for path in Path(root).rglob("*") if path.is_file()]
        return [MatchResult(pattern, [FileMetadata(path, 0) for path in files if re.match(found, path)])
                for pattern, found in zip(patterns, expression, strict=True)]

    def create(self, path, mime_type="application/octet-stream", compression_type="auto"):
        Path(self._local(path)).parent.mkdir(parents=True, exist_ok=True)
        return super().create(self._local(path), mime_type, compression_type)

    def open(self, path, mime_type="application/octet-stream", compression_type="auto"):
        return super().open(self._local(path), mime_type, compression_type)

    def rename(self, sources, destinations):
        for source, destination in zip(sources, destinations, strict=True):
            Path(self._local(source)).replace(self._local(destination))

    def exists(self, path):
        return Path(self._local(path)).is_file()

    def delete(self, paths):
        for path in paths:
            Path(self._local(path)).unlink()
