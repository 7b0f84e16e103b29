"""From files to batches: the dataset's layout, its TFRecord readers, and the logs of demo and tests."""
