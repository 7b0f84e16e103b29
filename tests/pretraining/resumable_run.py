"""Stage I as ``test_resume`` configures it; argv: dataset, output."""

import sys
from pathlib import Path

from test_resume import configured

from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.pretraining.run import pretrain

if __name__ == "__main__":
    pretrain(configured(), Dataset.open(sys.argv[1]), Path(sys.argv[2]))
