"""Small synthetic logs in the shapes that people have: ratings of movies, orders of a shop, clicks on news.

Latent factors of users and items determine what users choose; the popularity of items has a long tail. No log records
what was shown. File names, columns and formats are those of typical exports:

- movies: ``ratings.csv`` and ``movies.csv``, integer ids, ratings of half stars, epoch seconds, genres separated by |;
- shop: ``orders.parquet`` (one row for each line of an order) and ``products.parquet``, string ids;
- news: ``clicks.jsonl`` and ``articles.jsonl``; most articles appear each day anew and live for about a day.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from tfrs_pretrain.artifact_names import LOGS_KIND
from tfrs_pretrain.artifacts import write_manifest
from tfrs_pretrain.finished_outputs import RUN_DIGEST, finished_output, run_digest
from tfrs_pretrain.output_folders import staged_folder

EPOCH = pd.Timestamp("2024-01-01")
FACTORS = 4
ROWS_AT_ONCE = 1 << 12
GENRES = ("Action", "Comedy", "Drama", "Horror", "Romance", "Sci-Fi", "Thriller", "War")
CATEGORIES = ("garden", "kitchen", "office", "outdoor", "toys", "tools", "pets", "textiles")
SECTIONS = ("politics", "sports", "culture", "economy", "science", "local", "travel", "opinion")
Files = dict[str, pd.DataFrame]  # by file name


@dataclasses.dataclass(frozen=True)
class Choices:
    """Who chose what, and when, in the order of time.

    Attributes:
      user, item: int64 [n], numbers from 0.
      second: int64 [n], seconds after EPOCH.
      affinity: float64 [n] of the user to the item, standard deviation about 1 before the choice.
      items: factors, float64 [items, FACTORS].
    """

    user: np.ndarray
    item: np.ndarray
    second: np.ndarray
    affinity: np.ndarray
    items: np.ndarray

    @property
    def time(self) -> pd.DatetimeIndex:
        """Times [n] without a zone."""
        return EPOCH + pd.to_timedelta(self.second, unit="s")

    @property
    def group(self) -> np.ndarray:
        """Group of each item, int64 [items] below 2 * FACTORS: its strongest factor and the sign of that."""
        strongest = np.abs(self.items).argmax(axis=1)
        group: np.ndarray = 2 * strongest + (self.items[np.arange(len(self.items)), strongest] > 0)
        return group


def draw_choices(generator: np.random.Generator, *, users: int, items: int, rows: int, days: int,
                 focus: float = 2, births: np.ndarray | None = None, lifetime: float = 1.0) -> Choices:
    """Draw items with probability proportional to popularity times the exponential of the affinity times ``focus``.

    Args:
      generator: source of random numbers.
      users, items, rows, days: sizes.
      focus: how closely the choices follow the affinity.
      births: day from which an item exists, float64 [items]; None: all items always exist.
      lifetime: with ``births``, days after which the popularity has fallen to 1/e.
    """
    user_factors, item_factors = generator.normal(size=(users, FACTORS)), generator.normal(size=(items, FACTORS))
    log_popularity = -np.log(generator.permutation(items) + 5.0)
    second = np.sort(generator.integers(0, days * 86400, rows))
    user = generator.integers(0, users, rows)
    item = np.empty(rows, np.int64)
    for start in range(0, rows, ROWS_AT_ONCE):
        part = slice(start, start + ROWS_AT_ONCE)
        logits = log_popularity + focus * user_factors[user[part]] @ item_factors.T / np.sqrt(FACTORS)
        if births is not None:
            age = second[part, None] / 86400 - births
            logits += np.where(age >= 0, -age / lifetime, -np.inf)
        # The argmax of logits plus Gumbel noise is a draw from their softmax.
        item[part] = (logits + generator.gumbel(size=logits.shape)).argmax(axis=1)
    affinity = (user_factors[user] * item_factors[item]).sum(axis=1) / np.sqrt(FACTORS)
    return Choices(user, item, second, affinity, item_factors)


def movies(generator: np.random.Generator) -> Files:
    """Ratings from 0.5 to 5 that follow the affinity and the quality of the movie; a movie is rated once by a user."""
    choices = draw_choices(generator, users=400, items=600, rows=24000, days=180,
                           focus=1)
    quality = 0.4 * generator.normal(size=len(choices.items))
    stars = 3.2 + choices.affinity + quality[choices.item] + 0.5 * generator.normal(size=len(choices.item))
    ratings = pd.DataFrame({"userId": choices.user + 1, "movieId": choices.item * 7 + 1,
                            "rating": np.clip(np.round(2 * stars) / 2, 0.5, 5),
                            "timestamp": int(EPOCH.timestamp()) + choices.second})
    number = np.arange(len(choices.items))
    second_genre = generator.integers(0, len(GENRES), len(number))
    genres = ["|".join(dict.fromkeys((GENRES[first], GENRES[second])))
              for first, second in zip(choices.group, second_genre, strict=True)]
    titles = pd.DataFrame({"movieId": number * 7 + 1, "title": [f"Movie, The ({1960 + n % 60})" for n in number],
                           "genres": genres})
    return {"ratings.csv": ratings.drop_duplicates(["userId", "movieId"]), "movies.csv": titles}


def shop(generator: np.random.Generator) -> Files:
    """Lines of orders: a customer's choices of one day are one order; one order in thirty is cancelled."""
    choices = draw_choices(generator, users=600, items=400, rows=12000, days=84)
    price = np.exp(generator.normal(3, 0.8, len(choices.items))).round(2)
    products = [f"SKU-{number:04d}" for number in range(len(choices.items))]
    order = choices.user * 1000 + choices.second // 86400
    _, first = np.unique(order, return_index=True)
    placed = dict(zip(order[first], choices.time[first], strict=True))
    cancelled = generator.random(int(order.max()) + 1) < 1 / 30
    orders = pd.DataFrame({
        "order_id": [f"O{number:07d}" for number in order],
        "customer_id": [f"c{number:05d}" for number in choices.user],
        "product_id": np.array(products)[choices.item].tolist(),
        "ordered_at": pd.DatetimeIndex([placed[number] for number in order]),
        "quantity": generator.integers(1, 4, len(order)),
        "status": np.where(cancelled[order], "cancelled", "paid")})
    catalogue = pd.DataFrame({"product_id": products, "category": np.array(CATEGORIES)[choices.group],
                              "price": price})
    return {"orders.parquet": orders.drop_duplicates(["order_id", "product_id"]), "products.parquet": catalogue}


def news(generator: np.random.Generator) -> Files:
    """Clicks on articles of the last days; a reader clicks an article once."""
    days, articles = 42, 900
    births = np.sort(generator.uniform(-2, days, articles))
    choices = draw_choices(generator, users=500, items=articles, rows=12000, days=days, births=births)
    number = np.arange(articles)
    names = [f"a-{10000 + n}" for n in number]
    tags = [[f"tag{place}{'+' if value > 0 else '-'}" for place, value in enumerate(row) if abs(value) > 0.7]
            for row in choices.items]
    clicks = pd.DataFrame({"reader_id": [f"r{n:05d}" for n in choices.user],
                           "article_id": np.array(names)[choices.item].tolist(),
                           "clicked_at": choices.time.strftime("%Y-%m-%dT%H:%M:%SZ")})
    published = (EPOCH + pd.to_timedelta(births, unit="D")).strftime("%Y-%m-%dT%H:%M:%SZ")
    table = pd.DataFrame({"article_id": names, "section": np.array(SECTIONS)[choices.group], "tags": tags,
                          "published_at": published})
    return {"clicks.jsonl": clicks.drop_duplicates(["reader_id", "article_id"]), "articles.jsonl": table}


SHAPES: dict[str, Callable[[np.random.Generator], Files]] = {"movies": movies, "shop": shop, "news": news}


def write_shape_logs(kind: str, output: Path, *, seed: int = 0, overwrite: bool = False) -> None:
    """Write the files of one shape, and a manifest; an identical output is kept. A seed determines all bytes.

    Args:
      kind: key of SHAPES.
      output: folder to write.
      seed: seed of all random numbers.
      overwrite: replace the content of the folder.

    Raises:
      UserError: the output folder has other content and ``overwrite`` is false.
    """
    digest = run_digest(kind=kind, seed=seed)
    if finished_output(output, LOGS_KIND, digest, overwrite=overwrite):
        return
    files = SHAPES[kind](np.random.default_rng(seed))
    with staged_folder(output, overwrite=overwrite) as folder:
        for name, table in files.items():
            _write(table, folder / name)
        write_manifest(folder, LOGS_KIND, {"shape": kind, "seed": seed, RUN_DIGEST: digest,
                                           "rows": {name: len(table) for name, table in files.items()}})


def _write(table: pd.DataFrame, path: Path) -> None:
    if path.suffix == ".csv":
        table.to_csv(path, index=False)
    elif path.suffix == ".jsonl":
        table.to_json(path, orient="records", lines=True, force_ascii=False)
    else:
        table.to_parquet(path, index=False)
