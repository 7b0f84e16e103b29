"""ID tables, their sparse optimizers and the artifact that carries them between the stages."""
