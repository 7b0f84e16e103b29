"""The proxy of saved_models/compose.yaml, run by a local nginx."""

import getpass
import shutil
import subprocess
import time
from pathlib import Path

import pytest
import requests
from processes import two_free_ports

MODELS = Path(__file__).parents[2] / "saved_models"
MODULE = Path("/usr/share/nginx/modules/ngx_http_js_module.so")
needs_nginx = pytest.mark.skipif(not (shutil.which("nginx") and MODULE.is_file()),
                                 reason="needs nginx and its JavaScript module (Debian: libnginx-mod-http-js)")


class Proxy:
    """A running proxy: its addresses and its process.

    Args:
      folder: folder for its files.
      behind: gRPC and REST port of the server behind it.
    """

    def __init__(self, folder, behind):
        ports = (*two_free_ports(), two_free_ports()[0])
        self.grpc, self.rest, self.metrics = (f"127.0.0.1:{port}" for port in ports)
        # The workers need access to the test's folder: by default root's workers run as another user.
        as_this_user = f"daemon off; user {getpass.getuser()};"
        self.process = subprocess.Popen(["nginx", "-c", _local_config(folder, ports, behind), "-g", as_this_user],
                                        stderr=(folder / "log").open("w"))
        self._wait_until_it_answers(folder / "log")

    def _wait_until_it_answers(self, log):
        for _ in range(600):
            assert self.process.poll() is None, log.read_text()
            try:
                requests.get(f"http://{self.rest}/", timeout=5)
            except requests.ConnectionError:
                time.sleep(0.05)
            else:
                return
        raise AssertionError(log.read_text())

    def close(self):
        self.process.terminate()
        self.process.wait(60)


def _local_config(folder, ports, behind):
    """The committed configuration with this machine's ports and folders."""
    text = (MODELS / "nginx.conf").read_text()
    for old, new in zip((8500, 8501, 8502), ports, strict=True):
        text = text.replace(f"listen {old}", f"listen 127.0.0.1:{new}")
    for old, new in zip((8500, 8501), behind, strict=True):
        text = text.replace(f"serving:{old}", f"127.0.0.1:{new}")
    text = text.replace("/etc/nginx/", f"{MODELS}/").replace("/tmp/", f"{folder}/")
    (folder / "nginx.conf").write_text(text)
    return str(folder / "nginx.conf")
