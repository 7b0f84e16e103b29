"""Trains the distilled arm; argv: dataset, embeddings, output."""

import sys
from pathlib import Path

from test_ranking_resume import train

from tfrs_pretrain.data.dataset import Dataset

if __name__ == "__main__":
    dataset, embeddings, output = map(Path, sys.argv[1:])
    train(Dataset.open(dataset), embeddings, output)
