"""Layout of the dataset folder, and readers from its TFRecord files to batches."""
