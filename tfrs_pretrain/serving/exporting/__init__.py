"""Export of a trained ranker: SavedModel, checks against the trained model, extra assets and model card."""
