"""Stage I as one of several workers (of TF_CONFIG); argv: dataset, output, placement."""

import sys
from pathlib import Path

from test_replicas import configured

from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.pretraining.run import pretrain

if __name__ == "__main__":
    pretrain(configured("multi_worker", sys.argv[3]), Dataset.open(sys.argv[1]), Path(sys.argv[2]))
