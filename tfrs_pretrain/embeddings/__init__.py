"""Embedding tables, their sparse optimizers and the artifact that carries them from Stage I to Stage II."""
