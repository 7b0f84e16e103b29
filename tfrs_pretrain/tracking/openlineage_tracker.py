"""OpenLineage: which artifact was made from which, by digests of their manifests."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import dataset_version_dataset, error_message_run, job_type_job
from openlineage.client.transport.file import FileConfig, FileTransport

from tfrs_pretrain.config.tracking import OpenLineageConfig
from tfrs_pretrain.tracking.tracker import Artifact, StageEnd, StageStart, Tracker
from tfrs_pretrain.version import __version__

PRODUCER = f"https://pypi.org/project/tfrs-pretrain/{__version__}"
STATES = {"finished": RunState.COMPLETE, "failed": RunState.FAIL, "stopped": RunState.ABORT}


class OpenLineageTracker(Tracker):
    """Sends an event when a stage begins and one when it ends."""

    def __init__(self, settings: OpenLineageConfig):
        transport = FileTransport(FileConfig(log_file_path=settings.file, append=True)) if settings.file else None
        self._client, self._namespace = OpenLineageClient(transport=transport), settings.namespace
        self._run = str(uuid.uuid4())

    def start(self, start: StageStart) -> None:
        facet = job_type_job.JobTypeJobFacet(processingType="BATCH", integration="TFRS_PRETRAIN", jobType="STAGE")
        self._job = Job(self._namespace, f"{start.name}.{start.stage}", facets={"jobType": facet})
        self._inputs = [InputDataset(*_place(artifact), facets=_version(artifact))
                        for artifact in start.inputs.values()]
        self._emit(RunState.START, [], {})

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Lineage has no metrics."""

    def end(self, end: StageEnd) -> None:
        outputs = [OutputDataset(*_place(end.output), facets=_version(end.output))] if end.output.digest else []
        error = {"errorMessage": error_message_run.ErrorMessageRunFacet(end.error, "PYTHON")} if end.error else {}
        self._emit(STATES[end.status], outputs, error)
        self._client.close(5.0)

    def _emit(self, state: RunState, outputs: list[OutputDataset], facets: dict[str, Any]) -> None:
        now = datetime.datetime.now(datetime.UTC).isoformat()
        self._client.emit(RunEvent(eventTime=now, producer=PRODUCER, eventType=state, run=Run(self._run, facets),
                                   job=self._job, inputs=self._inputs, outputs=outputs))


def _place(artifact: Artifact) -> tuple[str, str]:
    """Namespace and name of a folder or URL, as OpenLineage's naming conventions say."""
    scheme, separator, rest = artifact.path.partition("://")
    if not separator:
        return "file", str(Path(artifact.path).absolute())
    host, _, path = rest.partition("/")
    return f"{scheme}://{host}", path or "/"


def _version(artifact: Artifact) -> dict[str, Any]:
    if not artifact.digest:
        return {}
    return {"version": dataset_version_dataset.DatasetVersionDatasetFacet(datasetVersion=artifact.digest)}


TRACKER = OpenLineageTracker
