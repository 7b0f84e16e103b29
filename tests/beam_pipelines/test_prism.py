"""build_dataset on Prism, Beam's engine in Go.

Not part of `make test`: `make test-prism` builds Prism and runs it. Skipped only where it was not built.
"""

import apache_beam
import pytest
from folder_contents import folder_contents
from local_servers import ROOT, free_port, server

from beam_pipelines.build_dataset import build

PRISM = ROOT / "build" / f"prism-{apache_beam.__version__}" / "prism"
pytestmark = [pytest.mark.prism, pytest.mark.skipif(not PRISM.exists(), reason="`make prism` has not built Prism")]


def test_the_dataset_has_the_same_bytes_as_in_process(worker_pool, tiny_dataset, planted_config, planted_logs,
                                                      tmp_path):
    port = free_port()
    with server(str(PRISM), f"-job_port={port}", "-serve_http=false", address=f"localhost:{port}"):
        build(planted_config, planted_logs, tmp_path / "again",
              ["--runner=PortableRunner", f"--job_endpoint=localhost:{port}", *worker_pool])
    assert folder_contents(tmp_path / "again") == folder_contents(tiny_dataset.folder)
