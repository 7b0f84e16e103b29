"""Checks that a Beam job server answers: Beam itself would wait for it for five minutes, then print a traceback."""

import grpc
from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc

from tfrs_pretrain.errors import UserError

TIMEOUT_SECONDS = 10.0  # a server that was just started may need some of them


def require_job_server(endpoint: str) -> None:
    """Waits until a job server answers.

    Args:
      endpoint: host and port.

    Raises:
      UserError: none has answered after ``TIMEOUT_SECONDS``, or another kind of server answers.
    """
    with grpc.insecure_channel(endpoint) as channel:
        try:
            beam_job_api_pb2_grpc.JobServiceStub(channel).DescribePipelineOptions(
                beam_job_api_pb2.DescribePipelineOptionsRequest(), wait_for_ready=True, timeout=TIMEOUT_SECONDS)
        except grpc.RpcError as error:
            reason = " ".join((error.details() or error.code().name).split())
            raise UserError(f"no Beam job server answers at --job_endpoint={endpoint} within {TIMEOUT_SECONDS:g} s "
                            f"({reason}): start it, or correct host and port (8099 by default)") from error
