"""Trains the distilled arm as one of several workers (of TF_CONFIG).

argv: dataset, embeddings, output, placement of the items.
"""

import sys
from pathlib import Path

from test_ranking_replicas import configured

from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.ranking.run import train_arm

if __name__ == "__main__":
    folder, embeddings, output = map(Path, sys.argv[1:4])
    dataset = Dataset.open(folder)
    config = configured(dataset, "multi_worker", {"user": "sharded", "item": sys.argv[4]})
    train_arm(config, dataset, "distilled", output, embeddings=embeddings)
