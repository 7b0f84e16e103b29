"""Trains the distilled arm; argv: dataset, embeddings, output."""

import sys
from pathlib import Path

from test_ranking_resume import rank

from tfrs_pretrain.data.dataset import Dataset

if __name__ == "__main__":
    dataset, embeddings, output = map(Path, sys.argv[1:])
    rank(Dataset.open(dataset), embeddings, output)
