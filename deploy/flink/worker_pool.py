"""Beam's worker pool on one address: Beam's own entry point always listens on all of them.

    python deploy/flink/worker_pool.py 127.0.0.1:50000

Each task manager needs a pool of its own: a pool tells workers apart by an id that is unique in one task manager only.
The workers are processes. They end with the pool.
"""

import argparse
import atexit
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from apache_beam.portability.api import beam_fn_api_pb2_grpc
from apache_beam.runners.worker.worker_pool_main import BeamFnExternalWorkerPoolServicer, kill_process_gracefully


def main(argv: list[str]) -> None:
    """Serves until the process is terminated."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address", help="host and port to listen on")
    address = parser.parse_args(argv).address
    # Beam starts its workers as ``python``.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    pool = BeamFnExternalWorkerPoolServicer(use_process=True)
    server = grpc.server(ThreadPoolExecutor())
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(pool, server)
    server.add_insecure_port(address)
    atexit.register(_stop_workers, pool)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    server.start()
    server.wait_for_termination()


def _stop_workers(pool: BeamFnExternalWorkerPoolServicer) -> None:
    for worker in pool._worker_processes.values():
        kill_process_gracefully(worker)


if __name__ == "__main__":
    main(sys.argv[1:])
