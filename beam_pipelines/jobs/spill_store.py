"""Encoded elements in memory up to a limit, and in temporary files above it.

The files have no names: the operating system frees them when the process ends, however it ends.
"""

import contextlib
import os
import tempfile
import weakref
from collections.abc import Iterable, Iterator
from pathlib import Path

from tfrs_pretrain.errors import UserError

GB = 1e9


class SpillStore:
    """Memory and disk of one pipeline.

    Args:
      folder: folder of the temporary files, on this machine.
      max_bytes: bytes of all chunks in memory, and of each table of groups.
    """

    def __init__(self, folder: str, max_bytes: int):
        self.folder, self.max_bytes = folder, max_bytes
        self.chunk_bytes = 0  # in memory
        self.file_bytes = 0  # written so far, also to files that are gone
        self._files: weakref.WeakSet[SpillFile] = weakref.WeakSet()

    def file(self) -> "SpillFile":
        """Creates a temporary file."""
        file = SpillFile(self)
        self._files.add(file)
        return file

    def close(self) -> None:
        """Frees all files at once, also those that an exception still refers to."""
        for file in self._files:
            file.close()


class SpillFile:
    """A temporary file to which blocks are appended.

    Raises:
      UserError: it cannot be created or written.
    """

    def __init__(self, store: SpillStore):
        self._store, self._end = store, 0
        try:
            Path(store.folder).mkdir(parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile(dir=store.folder)  # noqa: SIM115  closed when the last block is gone
        except OSError as error:
            raise self._failed(error) from error

    def write(self, block: bytes) -> "Block":
        """Appends a block."""
        try:
            self._file.write(block)
        except OSError as error:
            raise self._failed(error) from error
        self._end += len(block)
        self._store.file_bytes += len(block)
        return Block(self, self._end - len(block), len(block))

    def read(self, start: int, length: int) -> bytes:
        """Reads a part of the file."""
        try:
            self._file.flush()
        except OSError as error:
            raise self._failed(error) from error
        parts = []
        while length:
            parts.append(os.pread(self._file.fileno(), length, start))
            start, length = start + len(parts[-1]), length - len(parts[-1])
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        """Frees the file; it is not read again."""
        with contextlib.suppress(OSError):  # what a full disk did not take is dropped
            self._file.close()

    def _failed(self, error: OSError) -> UserError:
        written = f" after {self._store.file_bytes / GB:.1f} GB" if self._store.file_bytes else ""
        return UserError(f"the job cannot write its temporary files to {self._store.folder!r}{written} "
                         f"({error.strerror}): free space there, or name a folder on another disk with --spill_folder")


class Block:
    """A part of a temporary file."""

    __slots__ = ("_file", "_length", "_start")

    def __init__(self, file: SpillFile, start: int, length: int):
        self._file, self._start, self._length = file, start, length

    def load(self) -> bytes:
        """Reads the bytes."""
        return self._file.read(self._start, self._length)


class Memory:
    """Bytes that count for the limit of a store while they exist."""

    __slots__ = ("_data", "_store")

    def __init__(self, data: bytes, store: SpillStore):
        self._data, self._store = data, store
        store.chunk_bytes += len(data)

    def __del__(self) -> None:
        self._store.chunk_bytes -= len(self._data)

    def load(self) -> bytes:
        """Returns the bytes."""
        return self._data


class Chunks:
    """A list of bytes, each of them loaded when it is read. Copies and slices share memory and files."""

    def __init__(self, store: SpillStore, chunks: Iterable[Block | Memory] = ()):
        self._store, self._chunks = store, list(chunks)
        self._file: SpillFile | None = None

    def append(self, data: bytes) -> None:
        """Adds a chunk: in memory if the store has room for it."""
        self._chunks.append(self._stored(data))

    def extend(self, other: Iterable[bytes]) -> None:
        """Adds the chunks of another list."""
        if isinstance(other, Chunks):
            self._chunks.extend(other._chunks)
        else:
            for data in other:
                self.append(data)

    def _stored(self, data: bytes) -> Block | Memory:
        if self._store.chunk_bytes + len(data) <= self._store.max_bytes:
            return Memory(data, self._store)
        if self._file is None:
            self._file = self._store.file()
        return self._file.write(data)

    def __len__(self) -> int:
        return len(self._chunks)

    def __iter__(self) -> Iterator[bytes]:
        return (chunk.load() for chunk in self._chunks)

    def __getitem__(self, selected: slice) -> "Chunks":
        return Chunks(self._store, self._chunks[selected])
