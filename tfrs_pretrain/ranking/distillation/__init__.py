"""Teachers, and the training step that distills them into the student."""
