"""Resolves the artifacts of ``pom.xml`` with Maven and writes a jar without classes that names them.

    python deploy/flink/class_path_jar.py build/flink-job-server.jar
    java -jar build/flink-job-server.jar --flink-master=localhost:8081

Maven downloads about 120 MB once, into its usual repository (~/.m2). The jar starts Beam's job server for Flink; its
class path also has Flink's own entry points. Move neither the jar to another machine nor the repository away.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

POM = Path(__file__).with_name("pom.xml")
PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1"
MAIN_CLASS = "org.apache.beam.runners.flink.FlinkJobServerDriver"
OPENED_PACKAGES = tuple(f"java.base/java.{name}" for name in ("lang", "util", "nio", "net", "io"))
MAX_LINE_BYTES = 72  # of a manifest


class ResolutionError(Exception):
    """Maven is missing or could not bring the artifacts; the message is one line."""


def resolve() -> list[Path]:
    """Returns the paths of all jars, which Maven downloads if they are missing.

    Raises:
      ResolutionError: Maven is not installed or failed.
    """
    maven = shutil.which("mvn")
    if not maven:
        raise ResolutionError("mvn is not installed: install Maven and Java 17")
    with tempfile.TemporaryDirectory() as folder:
        paths = Path(folder, "class_path")
        done = subprocess.run([maven, "--batch-mode", "--quiet", f"--file={POM}", f"{PLUGIN}:build-classpath",
                               f"-Dmdep.outputFile={paths}", "-Dmdep.includeScope=runtime"],
                              capture_output=True, text=True, check=False)
        if done.returncode:
            lines = [line for line in (done.stdout + done.stderr).splitlines() if "ERROR" in line]
            raise ResolutionError(f"mvn failed with exit code {done.returncode}: {(lines or ['no reason given'])[0]}")
        return [Path(path) for path in paths.read_text().strip().split(":")]


def manifest(jars: list[Path]) -> bytes:
    """Returns the text of a manifest with a class path; long lines continue after a line end and a space."""
    entries = ["Manifest-Version: 1.0", f"Main-Class: {MAIN_CLASS}", f"Add-Opens: {' '.join(OPENED_PACKAGES)}",
               f"Class-Path: {' '.join(jar.resolve().as_uri() for jar in jars)}"]
    return b"".join(_folded(entry.encode()) for entry in entries) + b"\r\n"


def _folded(line: bytes) -> bytes:
    size = MAX_LINE_BYTES - len(b"\r\n ")
    return b"\r\n ".join(line[start:start + size] for start in range(0, len(line), size)) + b"\r\n"


def main(argv: list[str]) -> int:
    """Writes the jar. Reports an error in one line; then the exit code is 2, else 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("jar", type=Path, help="jar to write")
    target = parser.parse_args(argv).jar
    try:
        content = manifest(resolve())
    except ResolutionError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("META-INF/MANIFEST.MF", content)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
