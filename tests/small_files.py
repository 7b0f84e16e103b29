"""A limit on the size of written files, in place of a full disk: every library meets a failing write."""

import contextlib
import resource


@contextlib.contextmanager
def file_size_limit(num_bytes):
    """No file can grow beyond ``num_bytes`` in the body; the system answers "File too large"."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
