"""From a trained ranker to what TensorFlow Serving loads: raw ids in, scores out."""
