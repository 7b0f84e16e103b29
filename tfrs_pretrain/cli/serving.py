"""Commands for a running server: start one, query it, verify it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from tfrs_pretrain.artifacts import write_text
from tfrs_pretrain.cli.application import REFUSED, app
from tfrs_pretrain.cli.options import (
    JsonOption,
    ModelsConfigOption,
    PublicKeyOption,
    VersionOption,
    check_writable,
)
from tfrs_pretrain.progress import console
from tfrs_pretrain.quiet import quiet_imports


@app.command()
def serve(
    models_config: ModelsConfigOption = Path("saved_models/models.config"),
    port: Annotated[int, typer.Option(min=0, max=65535, help="gRPC port; 0 picks a free one")] = 8500,
    rest_port: Annotated[int, typer.Option(min=0, max=65535, help="REST port; 0 picks a free one")] = 8501,
    poll_seconds: Annotated[float, typer.Option(min=0.05, help="seconds between checks of the files")] = 1.0,
) -> None:
    """Serves exported models on this machine, for development only.

    The server has TF Serving's gRPC and REST interfaces, loads versions like TF Serving and follows the labels of
    --models-config. Differences: it is one Python process on the loopback interface; it has no TLS, no batching, no
    metrics, no SessionService and no reply to HTTP OPTIONS; it refuses requests of more than 100,000 rows and messages
    of more than 64 MiB; its error messages have TF Serving's codes but not always its text. Production runs the
    tensorflow/serving image: see saved_models/README.md.
    """
    with quiet_imports():
        from tfrs_pretrain.serving.labels.models_config import read_models_config
    read_models_config(models_config)
    # The values of saved_models/compose.yaml; TensorFlow reads them when it is imported.
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", "-1")
    with quiet_imports():
        from tfrs_pretrain.serving.server.run import Ports, serve
    serve(models_config, Ports(port, rest_port), poll_seconds, lambda server: console.print(
        f"development server (production: the tensorflow/serving image) · gRPC {server.grpc} · REST {server.rest} · "
        "Ctrl-C stops it", soft_wrap=True, highlight=False))


@app.command()
def query(
    server: Annotated[str, typer.Argument(metavar="HOST:PORT", help="gRPC address, or REST address with --rest")],
    model: Annotated[str, typer.Argument(help="model name")],
    verb: Annotated[str, typer.Argument(help="predict, rank, predict_examples, classify, regress, user_embedding, "
                                             "item_embedding, status or metadata")] = "status",
    request: Annotated[Path, typer.Option(help="JSON file with the request (- reads standard input)")] = Path("-"),
    rest: Annotated[bool, typer.Option("--rest", help="use REST")] = False,
    number: VersionOption = None,
    label: Annotated[str | None, typer.Option(help="send to the version with this label")] = None,
    timeout: Annotated[float, typer.Option(min=0.001, help="seconds, including retries")] = 5.0,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of a table")] = False,
) -> None:
    """Sends a JSON request to a running server and prints the response as a table or JSON.

    For example: `echo '[1367]' | tfrs-pretrain query localhost:8500 completejourney_ranker user_embedding`
    """
    with quiet_imports():
        from tfrs_pretrain.serving.client.query import query_server
        from tfrs_pretrain.serving.client.query_table import show
    answer = query_server(server, model, verb, request, rest=rest, version=number, label=label, timeout=timeout)
    if as_json:
        typer.echo(json.dumps(answer))
    else:
        show(verb, answer, console)


@app.command("verify-server")
def verify_server(
    server: Annotated[str, typer.Argument(metavar="HOST:PORT", help="gRPC address")],
    model: Annotated[Path, typer.Option(help="exported version to compare with: MODELS/<name>/<version>")],
    rest: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="also check REST at this address")] = None,
    models_config: Annotated[Path | None, typer.Option(help="also check that this file's labels are served")] = None,
    requests: Annotated[int, typer.Option(min=0, help="requests to measure latency with; 0: none")] = 200,
    concurrency: Annotated[int, typer.Option(min=1, help="concurrent clients")] = 4,
    max_qps: Annotated[float | None, typer.Option(help="max requests per second (default: unlimited)")] = None,
    signature: Annotated[str, typer.Option(help="signature whose golden request is timed")] = "serving_default",
    timeout: Annotated[float, typer.Option(min=0.001, help="seconds per request")] = 10.0,
    public_key: PublicKeyOption = None,
    json_file: JsonOption = None,
) -> None:
    """Compares a running server with an exported version: exit code 0 if they agree, 3 if they differ.

    Replays the golden requests of every signature, compares signatures, dtypes and shapes, versions and labels, and
    measures latency and throughput under a bounded load whose responses are also compared.
    """
    check_writable(json_file)
    with quiet_imports():
        from tfrs_pretrain.serving.signing import check_signatures, with_deltas
        from tfrs_pretrain.serving.verification.load_generator import LoadSpec
        from tfrs_pretrain.serving.verification.result_table import show
        from tfrs_pretrain.serving.verification.run import ServerAddress, verify
    check_signatures(with_deltas(model), public_key)
    result = verify(ServerAddress(server, rest, timeout), model, models_config=models_config,
                    load=LoadSpec(requests, concurrency, max_qps), signature=signature)
    if json_file:
        write_text(json_file, json.dumps(result.to_json(), indent=2) + "\n")
    show(result, console)
    if not result.passed:
        raise typer.Exit(REFUSED)


@app.command()
def push(
    server: Annotated[str, typer.Argument(metavar="HOST:PORT", help="gRPC address")],
    version: Annotated[Path, typer.Option(help="version that the server serves: MODELS/<name>/<version>")],
    secret: Annotated[Path, typer.Option(help="the file of export.push_secret")],
    grace: Annotated[float, typer.Option(min=0.0, help="longest time that a request to the server takes, in seconds: "
                                                       "memory that it may read is not reused before")] = 2.0,
    timeout: Annotated[float, typer.Option(min=0.001, help="seconds per request")] = 60.0,
    public_key: PublicKeyOption = None,
) -> None:
    """Sends the deltas that a running server lacks, then golden requests: exit code 3 if an answer differs.

    The version must be exported with export.live_updates=true. A server that was restarted gets all deltas again.
    """
    with quiet_imports():
        from tfrs_pretrain.serving.live.push_secret import read_key
        from tfrs_pretrain.serving.pushing.push import push
        from tfrs_pretrain.serving.signing import check_signatures, with_deltas
    check_signatures(with_deltas(version), public_key)
    result = push(server, version, read_key(secret), grace=grace, timeout=timeout)
    console.print(f"deltas {list(result.deltas)} in {result.chunks} requests, {result.seconds:.2f} s")
    if result.erased:
        console.print(f"erased {result.erased:,} old rows")
    failed = [check for check in result.checks if not check.passed]
    console.print(f"{len(result.checks) - len(failed)} of {len(result.checks)} golden requests answered as expected")
    for check in failed:
        console.print(f"{check.what}: expected {check.expected}, received {check.received}")
    if failed:
        raise typer.Exit(REFUSED)
