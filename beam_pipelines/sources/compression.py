"""Compressed text files: gzip, bzip2 and zstd, by the end of the name; and texts in other encodings."""

import bz2
import codecs
import gzip
import io
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import pyarrow as pa

from beam_pipelines.sources.limits import LimitedFile

Opener = Callable[[BinaryIO], Any]  # returns an object with ``readline``
OPENERS: dict[str, Opener] = {
    ".gz": lambda file: gzip.GzipFile(fileobj=file, mode="rb"),
    ".bz2": bz2.BZ2File,
    ".zst": lambda file: io.BufferedReader(pa.CompressedInputStream(pa.PythonFile(file, mode="r"), "zstd")),
}
"""By suffix."""
MAGIC = {b"\x1f\x8b": ("gzip", ".gz"), b"BZh": ("bzip2", ".bz2"), b"\x28\xb5\x2f\xfd": ("zstd", ".zst")}
"""First bytes of a compressed file -> name and suffix."""


def decompress(path: str, file: BinaryIO, max_ratio: float) -> Any:
    """Returns a file whose lines can be read: decompressed if the end of the path says so."""
    opener = next((opener for suffix, opener in OPENERS.items() if path.endswith(suffix)), None)
    return LimitedFile(path, file, opener(file), max_ratio) if opener else file


def refuse_compressed(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Yields the lines of a text.

    Raises:
      ValueError: the text is compressed, but its name does not say so.
    """
    for number, line in enumerate(lines):
        for magic, (name, suffix) in MAGIC.items() if number == 0 else ():
            if line.startswith(magic):
                raise ValueError(f"it is compressed with {name}: let its name end in {suffix}")
        yield line


class Utf8File(io.RawIOBase):
    """A text in another encoding as UTF-8.

    Args:
      file: the text, with a method ``read``.
      encoding: its encoding.
    """

    def __init__(self, file: Any, encoding: str):
        super().__init__()
        self._file, self._decoder, self._rest = file, codecs.getincrementaldecoder(encoding)(), b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Reads into a buffer.

        Raises:
          UnicodeDecodeError: the text is not in its encoding.
        """
        chunk = b"more"
        while chunk and not self._rest:
            chunk = self._file.read(len(buffer))
            self._rest = self._decoder.decode(chunk, final=not chunk).encode()
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size
