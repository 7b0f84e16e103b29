"""A running server: start one, ask it, verify it."""

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
    VersionOption,
    check_writable,
)
from tfrs_pretrain.progress import console
from tfrs_pretrain.quiet import import_quietly


@app.command()
def serve(
    models_config: ModelsConfigOption = Path("saved_models/models.config"),
    port: Annotated[int, typer.Option(min=0, max=65535, help="gRPC; 0: any that is free")] = 8500,
    rest_port: Annotated[int, typer.Option(min=0, max=65535, help="REST; 0: any that is free")] = 8501,
    poll_seconds: Annotated[float, typer.Option(min=0.05, help="between looks at configuration and folders")] = 1.0,
) -> None:
    """Serves exported models on this machine, for development only.

    It has TF Serving's gRPC and REST interfaces, loads versions as it does and follows the labels of --models-config.
    What differs: it is one Python process on the loopback interface; it has no TLS, no batching, no metrics, no
    SessionService and no answers to HTTP's OPTIONS; it refuses more than 100,000 rows a request and messages of more
    than 64 MiB; its error messages have TF Serving's codes but not always its words. Production runs the
    tensorflow/serving image: see saved_models/README.md.
    """
    import_quietly("tfrs_pretrain.serving.labels.models_config").read_models_config(models_config)
    # As saved_models/compose.yaml has it; TensorFlow reads them at its start.
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", "-1")
    stage = import_quietly("tfrs_pretrain.serving.server.run")
    stage.serve(models_config, stage.Ports(port, rest_port), poll_seconds, lambda server: console.print(
        f"development server (production: the tensorflow/serving image) · gRPC {server.grpc} · REST {server.rest} · "
        "Ctrl-C stops it", soft_wrap=True, highlight=False))


@app.command()
def query(
    server: Annotated[str, typer.Argument(metavar="HOST:PORT", help="gRPC, or REST with --rest")],
    model: Annotated[str, typer.Argument(help="name of the model")],
    verb: Annotated[str, typer.Argument(help="predict, rank, predict_examples, classify, regress, user_embedding, "
                                             "item_embedding, status or metadata")] = "status",
    request: Annotated[Path, typer.Option(help="JSON file with the request (- reads standard input)")] = Path("-"),
    rest: Annotated[bool, typer.Option("--rest", help="ask over REST")] = False,
    number: VersionOption = None,
    label: Annotated[str | None, typer.Option(help="ask the version with this label")] = None,
    timeout: Annotated[float, typer.Option(min=0.001, help="seconds, retries included")] = 5.0,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of a table")] = False,
) -> None:
    """Asks a running server: JSON in, a table or JSON out.

    For example: `echo '[1367]' | tfrs-pretrain query localhost:8500 completejourney_ranker user_embedding`
    """
    stage = import_quietly("tfrs_pretrain.serving.client.query")
    answer = stage.query_server(server, model, verb, request, rest=rest, version=number, label=label, timeout=timeout)
    if as_json:
        typer.echo(json.dumps(answer))
    else:
        stage.show(verb, answer, console)


@app.command("verify-server")
def verify_server(
    server: Annotated[str, typer.Argument(metavar="HOST:PORT", help="gRPC")],
    model: Annotated[Path, typer.Option(help="exported version that should be served: MODELS/<name>/<version>")],
    rest: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="check the REST interface too")] = None,
    models_config: Annotated[Path | None, typer.Option(help="check that the labels of this file are served")] = None,
    requests: Annotated[int, typer.Option(min=0, help="for the latencies; 0 measures none")] = 200,
    concurrency: Annotated[int, typer.Option(min=1, help="clients at once")] = 4,
    max_qps: Annotated[float | None, typer.Option(help="requests a second at most (default: no bound)")] = None,
    signature: Annotated[str, typer.Option(help="whose golden request the latencies are of")] = "serving_default",
    timeout: Annotated[float, typer.Option(min=0.001, help="seconds a request")] = 10.0,
    json_file: JsonOption = None,
) -> None:
    """Compares a running server with an exported version: exit code 0 if nothing differs, 3 if something does.

    Replays the golden requests of every signature, compares signatures, dtypes and shapes, versions and labels, and
    measures latency and throughput under a bounded load whose answers are compared too.
    """
    check_writable(json_file)
    stage = import_quietly("tfrs_pretrain.serving.verification.run")
    load = import_quietly("tfrs_pretrain.serving.verification.load_generator").LoadSpec(requests, concurrency, max_qps)
    result = stage.verify(stage.ServerAddress(server, rest, timeout), model, models_config=models_config, load=load,
                          signature=signature)
    if json_file:
        write_text(json_file, json.dumps(result, indent=2) + "\n")
    import_quietly("tfrs_pretrain.serving.verification.result_table").show(result, console)
    if not result["passed"]:
        raise typer.Exit(REFUSED)
