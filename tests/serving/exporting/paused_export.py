"""Program: exports a ranker, but waits for a line on standard input after it chose its version number.

Usage: python paused_export.py DATASET RANKER MODELS
"""

import sys
from pathlib import Path

from tfrs_pretrain.config import Config
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.serving.exporting import export as module

next_version = module.next_version


def paused(folder):
    version = next_version(folder)
    print("chose", version, flush=True)
    sys.stdin.readline()
    return version


if __name__ == "__main__":
    module.next_version = paused
    dataset_folder, ranker, models = map(Path, sys.argv[1:])
    dataset = Dataset.open(dataset_folder)
    exported = module.export(Config.model_validate(dataset.info["config"]), dataset, ranker, models)
    print("exported", exported.version)
