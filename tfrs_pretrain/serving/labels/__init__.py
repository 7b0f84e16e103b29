"""Version labels in models.config: which version of a model answers under a name such as "stable"."""
