"""A report of an export, as literals."""

from tfrs_pretrain.features.raw_input import RawInput
from tfrs_pretrain.serving.exporting.memory import MemoryNeed
from tfrs_pretrain.serving.exporting.quantization import MetricChange, QuantizationCost
from tfrs_pretrain.serving.exporting.report import ExportReport, GoldenCheck, SignatureCheck
from tfrs_pretrain.serving.graph.signatures import SavedModelContents

COST = QuantizationCost("validation", 1234, 0.0125, MetricChange(0.75, 0.7499), MetricChange(0.5, 0.50002))


def literal_report(**changes):
    contents = SavedModelContents(
        inputs={"user_id": RawInput("int64", side="user", required=True)}, outputs={"score": "label"},
        classes=("clicked",), signatures={"rank": {"method": "predict", "inputs": {}, "outputs": {}}},
        tables={"item": {"rows": 12345, "dim": 8, "dtype": "int8", "bytes": 148140, "vocabulary": "item",
                         "digest": "d"}})
    signatures = {"classify": SignatureCheck(2, 56, 1e-7), "rank": SignatureCheck(9, 99, 2.5e-6)}
    values = {
        "name": "ranker", "arm": "scratch", "ranker": "/r", "ranker_digest": "1", "dataset_digest": "2",
        "vocabularies": {"item": "d"}, "config": {"seed": 0},
        "windows": {"train": {"start": "2024-01-01", "end": "2024-02-01"}, "gap": 3}, "contents": contents,
        "table_cost": COST, "operations": ["Add", "MatMul"], "num_bytes": 2_500_000,
        "memory": MemoryNeed(3_000_000, 6_000_000, None), "check": GoldenCheck(32, 1e-5, signatures)}
    return ExportReport(**(values | changes))
