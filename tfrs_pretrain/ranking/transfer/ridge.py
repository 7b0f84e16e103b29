"""Ridge regression of several targets, with the penalty chosen by cross-validation."""

from __future__ import annotations

import dataclasses

import numpy as np

FOLDS = 5
PENALTIES = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)


@dataclasses.dataclass(frozen=True)
class Ridge:
    """A linear prediction ``mean + (features - feature_means) @ weights``.

    Attributes:
      weights: float64 [features, targets].
      feature_means: float64 [features].
      mean: float64 [targets].
      penalty: the chosen one of PENALTIES.
      r2: coefficient of determination on held-out rows, over all targets together; at most 1, negative if the mean of
        the targets predicts better.
    """

    weights: np.ndarray
    feature_means: np.ndarray
    mean: np.ndarray
    penalty: float
    r2: float

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Return float64 [n, targets] for features [n, features]."""
        predicted: np.ndarray = self.mean + (features - self.feature_means) @ self.weights
        return predicted


@dataclasses.dataclass(frozen=True)
class _Moments:
    """Sums over rows, from which a regression on these rows follows."""

    num_rows: float
    features: np.ndarray  # [features]
    targets: np.ndarray  # [targets]
    gram: np.ndarray  # [features, features]
    cross: np.ndarray  # [features, targets]

    @classmethod
    def from_rows(cls, features: np.ndarray, targets: np.ndarray) -> _Moments:
        return cls(len(features), features.sum(axis=0), targets.sum(axis=0), features.T @ features,
                   features.T @ targets)

    def __add__(self, other: _Moments) -> _Moments:
        return _Moments(*(getattr(self, field.name) + getattr(other, field.name) for field in dataclasses.fields(self)))

    def __sub__(self, other: _Moments) -> _Moments:
        return _Moments(*(getattr(self, field.name) - getattr(other, field.name) for field in dataclasses.fields(self)))

    def solve(self, penalties: tuple[float, ...]) -> list[Ridge]:
        """Return one regression for each penalty, without their r2."""
        feature_means, mean = self.features / self.num_rows, self.targets / self.num_rows
        gram = self.gram - np.outer(feature_means, self.features)
        cross = self.cross - np.outer(feature_means, self.targets)
        values, vectors = np.linalg.eigh(gram)
        projected = vectors.T @ cross
        return [Ridge(vectors @ (projected / (np.maximum(values, 0) + penalty)[:, None]), feature_means, mean, penalty,
                      float("nan")) for penalty in penalties]


def fit_ridge(features: np.ndarray, targets: np.ndarray, *, seed: int = 0) -> Ridge:
    """Fit the penalty of PENALTIES with the highest r2 on held-out folds, then the weights on all rows.

    Args:
      features: float [n, features], n at least FOLDS.
      targets: float [n, targets].
      seed: of the assignment to folds.
    """
    features, targets = features.astype(np.float64), targets.astype(np.float64)
    fold = np.random.default_rng(seed).permutation(len(features)) % FOLDS
    parts = [_Moments.from_rows(features[fold == number], targets[fold == number]) for number in range(FOLDS)]
    total = parts[0]
    for part in parts[1:]:
        total += part
    errors, spread = np.zeros(len(PENALTIES)), 0.0
    for number, part in enumerate(parts):
        held_features, held_targets = features[fold == number], targets[fold == number]
        fits = (total - part).solve(PENALTIES)
        errors += [np.square(held_targets - fit.predict(held_features)).sum() for fit in fits]
        spread += np.square(held_targets - fits[0].mean).sum()
    best = int(errors.argmin())
    r2 = float(1 - errors[best] / spread) if spread else 0.0
    return dataclasses.replace(total.solve((PENALTIES[best],))[0], r2=r2)
