"""Whether pretraining pays: a ranker with pretrained rows compared with one from scratch, on validation."""
