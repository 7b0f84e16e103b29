"""Names of the files, folders and kinds by which one stage finds what another has written.

A kind is the value of ``kind`` in a manifest: it tells what a folder contains.
"""

from __future__ import annotations

MANIFEST = "manifest.json"
DATASET_INFO = "dataset_info.json"  # the manifest of a dataset
FORGOTTEN = "forgotten"  # key of a manifest: one entry for each time that ids were removed

LOGS_KIND = "logs"
VOCABULARY_KIND = "vocabulary"
PAIRS_KIND = "pairs"
IMPRESSIONS_KIND = "impressions"  # without pairs, of some splits: data on which trained models are judged
DATASET_KIND = "dataset"
EMBEDDINGS_KIND = "embeddings"
EMBEDDINGS_EXPORT_KIND = "embeddings_export"
RANKER_KIND = "ranker"
SAVED_MODEL_KIND = "saved_model"
SERVED_TABLES_KIND = "served_tables"
DELTA_KIND = "delta"
EXPORT_KIND = "export"
ITEM_INDEX_KIND = "item_index"
STUDY_KIND = "study"
STREAM_KIND = "stream"
CHECKPOINT_KIND = "checkpoint"
BEST_EPOCH_KIND = "best epoch"

# Dataset
VOCABULARY_FOLDER = "vocabulary"
LOOKUP_SUFFIX = ".lookup.arrow"  # of the file beside the vocabulary
CANDIDATE_PROBABILITY = "pairs/candidate_probability.npy"
GOLDEN_IMPRESSIONS = "golden.parquet"

# Embeddings and item index
MATRIX_FILE = "rows.npy"
VOCABULARY_FILE = "vocabulary.parquet"
TRAINED_FILE = "trained.npy"

# Ranker
NETWORK_FILE = "network.keras"
COLD_ROWS_FILE = "cold_rows.npz"
TABLES_FOLDER = "tables"
PREDICTIONS_FOLDER = "predictions"

# Exported version
EXTRA_ASSETS = "assets.extra"
SAVED_MODEL_FILE = "saved_model.pb"
GOLDEN_REQUESTS = "golden_requests.json"  # of serving_default, as REST takes it

# Study
RESULTS = "results.json"
REPORT_HTML, REPORT_MARKDOWN = "report.html", "report.md"
