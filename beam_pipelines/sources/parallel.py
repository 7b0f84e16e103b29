"""Opens many files at the same time: on an object store, the time for each is spent waiting."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

MAX_OPEN_FILES = 32

T = TypeVar("T")


def map_files(function: Callable[[str], T], paths: Iterable[str]) -> Iterator[tuple[str, T]]:
    """Yields each path and its result, in order; calls run in threads. The first error in this order is raised."""
    with ThreadPoolExecutor(MAX_OPEN_FILES) as pool:
        futures = [(path, pool.submit(function, path)) for path in paths]
        try:
            for path, future in futures:
                yield path, future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
