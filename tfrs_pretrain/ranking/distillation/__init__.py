"""Teachers, and the training step that learns from one."""
