"""Stage I: contrastive pretraining of ID embeddings on the engagement log, with TensorFlow Recommenders."""
