"""Contents of an output folder."""

from pathlib import Path

from beam_pipelines.jobs.job import RUN_FILE


def folder_contents(folder: Path) -> dict[str, bytes]:
    """Relative path -> bytes of every file below a folder, except the digest of the job that has written it."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*"))
            if path.is_file() and path.name != RUN_FILE}
