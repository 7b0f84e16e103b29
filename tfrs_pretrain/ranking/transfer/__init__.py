"""Transfer of pretrained rows into the ID tables of a ranker, and remedies against overfitting them."""
