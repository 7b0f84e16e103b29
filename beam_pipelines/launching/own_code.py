"""The code of installed packages that a job uses, for the manifest and the digest of the job."""

from typing import Any

from beam_pipelines.jobs.job import Job
from tfrs_pretrain.config import Source
from tfrs_pretrain.features.registry import BUILT_IN_KINDS
from tfrs_pretrain.own_code import FEATURES, SOURCES, entry_point_names, plug_in


def own_code(job: Job) -> dict[str, Any]:
    """Returns ``{"own_code": [...]}``: entry points, versions and settings of sources and features; {} without any.

    Raises:
      UserError: an entry point cannot be imported, or refuses its settings.
    """
    declared = dict(job.config.dataset.sources)
    sources = [Source.from_declared(source) for source in declared.values()]
    found = [plug_in(SOURCES, source.format).record(source.settings) for source in sources if source.is_packaged]
    found += [plug_in(FEATURES, feature.kind).record(feature.model_dump(mode="json")) for feature in job.schema.features
              if feature.kind not in BUILT_IN_KINDS and feature.kind in entry_point_names(FEATURES)]
    return {"own_code": found} if found else {}
