"""Version labels in models.config."""
