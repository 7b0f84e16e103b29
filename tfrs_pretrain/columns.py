"""Names of the columns that every dataset has, and the padding of lists."""

from __future__ import annotations

# Columns that every impressions TFRecord has, beside one per feature (rows as int64, numeric values as float32).
USER_ROW, ITEM_ROW, USER_ID, ITEM_ID, LABEL, KEY = "user", "item", "user_id", "item_id", "label", "key"
WEIGHT = "weight"  # if the schema names a weight or a propensity: float32
REQUEST = "request"  # if the schema names a request column: int64 hash of user and request
HISTORY = "history"  # if the schema has a history: int64 item rows of any number, the latest last
RESERVED_COLUMNS = (USER_ROW, ITEM_ROW, USER_ID, ITEM_ID, LABEL, KEY)
PADDING = -1  # in batches, fills the rows of a list up to its column's length
