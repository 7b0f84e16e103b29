"""Where and how `tfrs-pretrain deploy` lets rounds of training run: its own YAML file."""

from __future__ import annotations

from pydantic import Field, ValidationError, model_validator

from tfrs_pretrain.config.load import read_yaml, validation_message
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.names import FolderName
from tfrs_pretrain.strict_model import StrictModel


class Resources(StrictModel):
    """The machine of each worker."""

    cpus: int = Field(8, ge=1, description="cores")
    memory_gb: int = Field(32, ge=1, description="memory, in 2^30 bytes")
    gpus: int = Field(0, ge=0, description="GPUs of each worker (nvidia.com/gpu)")


class Kubernetes(StrictModel):
    """What the pods of `jobset`, `kubeflow` and `airflow` use."""

    namespace: str = Field("default", description="namespace of the jobs")
    volume_claim: str | None = Field(None, description="persistent volume claim with all folders; with several "
                                                       "workers, of access mode ReadWriteMany (null: none is mounted)")
    mount_path: str = Field("/data", description="where the claim is mounted")
    service_account: str | None = Field(None, description="service account of the pods (null: the namespace's default)")


class Vertex(StrictModel):
    """Machines and folder of a custom job on Vertex AI, which mounts the bucket B at /gcs/B."""

    machine_type: str = Field("n1-standard-8", description="machine of each worker")
    accelerator_type: str | None = Field(None, description="such as NVIDIA_TESLA_T4 (null: no GPU)")
    accelerator_count: int = Field(1, ge=1, description="GPUs of each worker, with accelerator_type")
    output_uri: str | None = Field(None, pattern=r"^gs://.+", description=(
        "base output directory, from which Vertex AI sets AIP_MODEL_DIR, AIP_CHECKPOINT_DIR and "
        "AIP_TENSORBOARD_LOG_DIR (null: none)"))
    service_account: str | None = Field(None, description="service account of the job (null: the project's default)")
    spot: bool = Field(False, description="use spot machines; an interrupted job continues from its checkpoints")


class Deployment(StrictModel):
    """Folders as the containers see them, the image, and the machines."""

    image: str = Field(min_length=1, description="container image with the command `tfrs-pretrain`")
    config: str = Field(description="the configuration that is deployed, as the containers see it")
    raw: str = Field(description="folder of the logs, which dataset.sources are relative to")
    rounds: str = Field(description="folder of the rounds, one folder each")
    models: str = Field(description="TF Serving's folder of models")
    schedule: str | None = Field(None, description="cron expression of the rounds, in UTC, such as 0 4 * * 1 "
                                                   "(airflow; null: started by hand)")
    gate: str | None = Field(None, description="file of the promotion gate (null: versions are exported only)")
    label: FolderName = Field("canary", description="label that a version receives which the gate accepts")
    models_config: str | None = Field(None, description="TF Serving's file of models and labels (null: models.config "
                                                        "in the folder of models)")
    server: str | None = Field(None, description="gRPC address of the server that must apply the label (null: none)")
    sign: str | None = Field(None, description="PEM file of the private key that signs each version (null: none)")
    public_key: str | None = Field(None, description="PEM file of the public key that a promoted version must be "
                                                     "signed with (null: signatures are not read)")
    carry_ranker: bool = Field(False, description="start each ranker from that of the round before, beside the rows")
    overrides: list[str] = Field([], description="further --set KEY=VALUE of each step")
    beam_options: list[str] = Field([], description="options of Beam for the dataset, such as --runner=DataflowRunner")
    workers: int = Field(1, ge=1, description="machines that train (vertex, jobset)")
    resources: Resources = Field(Resources(), description="of each worker, except on Vertex AI")
    kubernetes: Kubernetes = Field(Kubernetes(), description="of jobset, kubeflow and airflow")
    vertex: Vertex = Field(Vertex(), description="of vertex")

    @model_validator(mode="after")
    def _label_needs_a_gate(self) -> Deployment:
        if self.gate is None and (self.server or self.models_config):
            raise ValueError("server and models_config are used by a promotion: name its gate, or omit them")
        return self


def load_deployment(path: str) -> Deployment:
    """Reads the YAML file of a deployment.

    Raises:
      UserError: the file is missing or not YAML, a key is unknown or missing, or a value is out of its range.
    """
    tree = read_yaml(path, "deployment")
    try:
        return Deployment.model_validate(tree)
    except ValidationError as error:
        keys = "docs/deploy/schedulers.md lists the keys"
        raise UserError(validation_message(f"deployment {path!r}", error, keys, tree)) from error
