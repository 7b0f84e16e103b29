"""Description of a dataset folder as JSON-LD in the Croissant format of MLCommons (version 1.0).

Each file is listed with its SHA-256. Vocabularies and golden impressions are record sets that readers of Croissant can
load; TFRecord files are described by their columns, which those readers do not decode.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tfrs_pretrain.artifacts import file_digest
from tfrs_pretrain.data.dataset import IMPRESSION_SPLITS, Dataset, pair_columns, record_columns
from tfrs_pretrain.file_digests import FILES
from tfrs_pretrain.json_documents import json_digest

FORMATS = {".parquet": "application/x-parquet", ".npy": "application/x-npy",
           ".arrow": "application/vnd.apache.arrow.file", ".tfrecord": "application/x-tfrecord",
           ".gz": "application/gzip"}
TYPES = {"int64": "sc:Integer", "int32": "sc:Integer", "float32": "sc:Float", "string": "sc:Text"}
CONTEXT: dict[str, Any] = {
    "@language": "en", "@vocab": "https://schema.org/", "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/", "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/", "citeAs": "cr:citeAs", "column": "cr:column", "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"}, "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "equivalentProperty": "cr:equivalentProperty", "samplingRate": "cr:samplingRate",
    "examples": {"@id": "cr:examples", "@type": "@json"}, "extract": "cr:extract", "field": "cr:field",
    "fileObject": "cr:fileObject", "fileProperty": "cr:fileProperty", "fileSet": "cr:fileSet", "format": "cr:format",
    "includes": "cr:includes", "isLiveDataset": "cr:isLiveDataset", "jsonPath": "cr:jsonPath", "key": "cr:key",
    "md5": "cr:md5", "parentField": "cr:parentField", "path": "cr:path", "recordSet": "cr:recordSet",
    "references": "cr:references", "regex": "cr:regex", "repeated": "cr:repeated", "replace": "cr:replace",
    "separator": "cr:separator", "source": "cr:source", "subField": "cr:subField", "transform": "cr:transform"}


def describe(dataset: Dataset, license: str | None = None) -> dict[str, Any]:
    """Returns the description of a dataset; paths are relative to its folder.

    Every file is read, to compute its SHA-256.

    Args:
      dataset: the dataset.
      license: URL of its license; None: the description names none.
    """
    info = dataset.info
    shards = {shard["path"]: shard["bytes"] for split in info["splits"].values() for shard in split["shards"]}
    listed = {name: entry["bytes"] for name, entry in (info.get(FILES) or {}).items()}
    name, windows = info["config"]["name"], info["config"]["windows"]
    return {
        "@context": CONTEXT, "@type": "sc:Dataset", "conformsTo": "http://mlcommons.org/croissant/1.0", "name": name,
        "description": f"Vocabularies, pretraining pairs and impressions of {name}, written by tfrs-pretrain. Windows: "
                       + "; ".join(f"{split} {window['start']} to {window['end']}" for split, window in windows.items()
                                   if isinstance(window, dict)) + ".",
        "version": info["code_version"], "identifier": json_digest(info),
        **({"license": license} if license else {}),
        "distribution": [_file(dataset, path, size) for path, size in sorted((listed | shards).items())],
        "recordSet": [*_tables(dataset, listed), *_records(dataset)]}


def _file(dataset: Dataset, path: str, size: int) -> dict[str, Any]:
    return {"@type": "cr:FileObject", "@id": path, "name": path, "contentUrl": path, "contentSize": f"{size} B",
            "encodingFormat": FORMATS[PurePosixPath(path).suffix], "sha256": file_digest(dataset.folder / path)}


def _tables(dataset: Dataset, listed: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    """Record sets of the Parquet files."""
    for path in sorted(listed):
        if path.endswith(".parquet"):
            schema = pq.read_schema(dataset.checked_file(path))
            yield _record_set(path.removesuffix(".parquet"), "", [
                _field(path.removesuffix(".parquet"), column.name, _type(column.type), path,
                       {"column": column.name}, repeated=pa.types.is_list(column.type)) for column in schema])


def _records(dataset: Dataset) -> Iterator[dict[str, Any]]:
    """Record sets of the TFRecord files: their columns without an extraction that a reader could run."""
    impressions = {name: (column.dtype, column.length is not None)
                   for name, column in record_columns(dataset.schema).items()}
    pairs = {name: (dtype, False) for name, dtype in pair_columns(dataset.schema).items()}
    for split, entry in sorted(dataset.info["splits"].items()):
        columns = impressions if split in IMPRESSION_SPLITS else pairs
        first = entry["shards"][0]["path"]
        yield _record_set(split, f"{entry['examples']} examples in {len(entry['shards'])} files", [
            _field(split, name, TYPES[dtype], first, {"column": name}, repeated=repeated)
            for name, (dtype, repeated) in columns.items()])


def _record_set(name: str, description: str, fields: list[dict[str, Any]]) -> dict[str, Any]:
    return {"@type": "cr:RecordSet", "@id": name, "name": name, "description": description or f"rows of {name}",
            "field": fields}


def _field(record_set: str, name: str, data_type: str, path: str, extract: dict[str, str], *, repeated: bool
           ) -> dict[str, Any]:
    return {"@type": "cr:Field", "@id": f"{record_set}/{name}", "name": name, "dataType": data_type,
            "source": {"fileObject": {"@id": path}, "extract": extract}} | ({"repeated": True} if repeated else {})


def _type(dtype: pa.DataType) -> str:
    value = dtype.value_type if pa.types.is_list(dtype) else dtype
    for check, name in ((pa.types.is_integer, "sc:Integer"), (pa.types.is_floating, "sc:Float"),
                        (pa.types.is_boolean, "sc:Boolean"), (pa.types.is_temporal, "sc:DateTime")):
        if check(value):
            return name
    return "sc:Text"
