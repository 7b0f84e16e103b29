"""SavedModels as a server runs them."""

from tfrs_pretrain.serving.session import LoadedModel


def run_signature(model, signature, inputs):
    """Outputs of a signature by name, from a session of its own."""
    with LoadedModel(model) as loaded:
        return loaded.answer(signature, inputs)
