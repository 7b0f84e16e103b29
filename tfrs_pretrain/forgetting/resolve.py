"""What must be known before ids can be removed: their type, and the rows that each vocabulary loses."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfrs_pretrain.artifact_names import (
    BEST_EPOCH_KIND,
    CHECKPOINT_KIND,
    DATASET_INFO,
    DELTA_KIND,
    IMPRESSIONS_KIND,
    PAIRS_KIND,
    RANKER_KIND,
    SAVED_MODEL_KIND,
)
from tfrs_pretrain.artifacts import file_digest
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.forgetting.artifact import MANIFEST_DIGEST, Artifact
from tfrs_pretrain.forgetting.delta_chain import EarlierStates, base_of
from tfrs_pretrain.forgetting.followers import followers
from tfrs_pretrain.forgetting.ids import ForgottenIds, Freed, read_ids
from tfrs_pretrain.forgetting.kinds import KINDS
from tfrs_pretrain.forgetting.tables import dataset_digest
from tfrs_pretrain.vocabulary import Vocabulary


def resolve(space: str, ids_file: Path, artifacts: Sequence[Artifact]) -> ForgottenIds:
    """Reads the ids and looks up their rows in all vocabularies.

    Raises:
      UserError: the ids cannot be read, no artifact says their type, the artifacts have ids of different types, or one
        was made with a vocabulary that none of the folders contains.
    """
    _check_deltas(artifacts)
    schemas = [schema for artifact in artifacts
               if (schema := artifact.manifest.get("config", {}).get("schema")) is not None]
    vocabularies = list(_vocabularies(artifacts, space))
    dtypes = ({vocabulary.dtype for _, vocabulary in vocabularies}
              | {schema[space].get("dtype", "int64") for schema in schemas})
    if len(dtypes) != 1:
        found = f"ids of types {sorted(dtypes)}" if dtypes else "no dataset, embeddings or ranker"
        raise UserError(f"the folders contain {found}: name the folders that were built from one dataset, the dataset "
                        "included")
    ids = ForgottenIds(space, read_ids(ids_file, dtypes.pop()),
                       columns=frozenset(schema[space]["column"] for schema in schemas),
                       features=frozenset(feature["name"] for schema in schemas for feature in schema["features"]))
    freed, present = _freed(ids, vocabularies)
    resolved = dataclasses.replace(ids, freed=freed, present=present, datasets=_datasets(artifacts, space),
                                   followers=followers(artifacts))
    for artifact in artifacts:
        _check_known(artifact, resolved)
    return resolved


def count_without_row(ids: ForgottenIds, artifacts: Sequence[Artifact]) -> int:
    """Returns the number of ids that have a row in no vocabulary: never admitted, or forgotten before."""
    known = np.zeros(len(ids.ids), bool)
    for _, vocabulary in _vocabularies(artifacts, ids.space):
        known |= vocabulary.lookup(ids.ids) >= vocabulary.oov_rows
    return int((~known).sum())


def _vocabularies(artifacts: Sequence[Artifact], space: str) -> Iterator[tuple[Artifact, Vocabulary]]:
    for artifact in artifacts:
        files = KINDS[artifact.kind].vocabularies(artifact.folder, artifact.manifest)
        if space in files:
            yield artifact, Vocabulary.load(files[space])


def _freed(ids: ForgottenIds, vocabularies: Sequence[tuple[Artifact, Vocabulary]]
           ) -> tuple[dict[str, Freed], dict[str, Freed]]:
    """Returns ``freed`` and ``present`` of ``ForgottenIds``.

    The digests of earlier vocabularies let artifacts follow that were not among the folders of an earlier run, or that
    a killed run did not reach.
    """
    earlier, present = defaultdict[str, set[int]](set), defaultdict[str, set[int]](set)
    for artifact, vocabulary in vocabularies:
        known = vocabulary.lookup(ids.ids)
        later = set(known[known >= vocabulary.oov_rows].tolist())
        for digest, freed in reversed(_chain(artifact, ids.space)):
            later |= set(freed)
            earlier[digest] |= later
        present[vocabulary.digest] |= later  # also the rows of earlier runs: they must be zero
    all_freed, own_freed = dict[str, Freed](), dict[str, Freed]()
    for artifact, vocabulary in vocabularies:
        own = present[vocabulary.digest]
        for digest, _ in _chain(artifact, ids.space):
            all_freed[digest] = _rows_of(vocabulary, earlier[digest] | present.get(digest, set()))
        for found, rows in ((all_freed, own | earlier.get(vocabulary.digest, set())), (own_freed, own)):
            lost = _rows_of(vocabulary, rows)
            found.update(dict.fromkeys((vocabulary.digest, vocabulary.with_freed(lost.rows).digest), lost))
    return all_freed, own_freed


def _rows_of(vocabulary: Vocabulary, rows: Collection[int]) -> Freed:
    return Freed(np.array(sorted(rows), np.int64), vocabulary.num_rows, vocabulary.oov_rows)


def _chain(artifact: Artifact, space: str) -> list[tuple[str, list[int]]]:
    """Digest and freed rows of the vocabularies before each earlier change, the oldest first."""
    name = f"vocabulary.{space}"
    return [(entry["digests"][name], entry["rows"][space]) for entry in artifact.earlier
            if name in entry["digests"] and space in entry["rows"]]


def _datasets(artifacts: Sequence[Artifact], space: str) -> dict[str, str]:
    """Returns digest of a dataset's manifest, now and before earlier changes -> digest of its vocabulary."""
    found = {}
    for artifact in artifacts:
        if artifact.manifest_file == DATASET_INFO:
            digests = [entry["digests"][MANIFEST_DIGEST] for entry in artifact.earlier]
            for digest in (*digests, file_digest(artifact.folder / DATASET_INFO)):
                found[digest] = artifact.manifest["vocabularies"][space]["digest"]
    return found


def _check_deltas(artifacts: Sequence[Artifact]) -> None:
    """Raises UserError if a delta belongs to a version that none of the folders contains, or does not follow it."""
    folders = {artifact.folder for artifact in artifacts}
    for artifact in artifacts:
        if artifact.kind == DELTA_KIND:
            base = base_of(artifact.folder)
            if base not in folders:
                raise UserError(f"delta {str(artifact.folder)!r} belongs to version {str(base)!r}, which none of the "
                                "folders contains: also name that version")
            EarlierStates(artifact.folder, artifact.manifest).check()


def _check_known(artifact: Artifact, ids: ForgottenIds) -> None:
    """Raises UserError if an artifact quotes a vocabulary or dataset that none of the folders contains."""
    what = f"{artifact.kind} {str(artifact.folder)!r}"
    if artifact.kind in (CHECKPOINT_KIND, BEST_EPOCH_KIND):
        digest = dataset_digest(artifact.folder, artifact.manifest)
        if digest not in ids.datasets:
            raise UserError(f"{what} is of a run on a dataset (digest {digest[:12]}) that none of the folders "
                            "contains: also name that dataset")
    elif artifact.kind in (RANKER_KIND, SAVED_MODEL_KIND, PAIRS_KIND, IMPRESSIONS_KIND):
        quoted = _vocabulary_digest(artifact.manifest, ids.space)
        if quoted is not None and quoted not in ids.freed:
            raise UserError(f"{what} was made with a vocabulary {ids.space!r} (digest {quoted[:12]}) that none of the "
                            "folders contains: also name its dataset or embeddings")


def _vocabulary_digest(manifest: dict[str, Any], space: str) -> str | None:
    entry = manifest["vocabularies"].get(space)
    digest: str | None = entry["digest"] if isinstance(entry, dict) else entry
    return digest
