"""Extensions of tfrs-pretrain, found through the entry points in pyproject.toml after ``pip install .``."""
