"""Feature kinds: one file per kind, with everything that the kind does from the raw log to the served model.

Other code calls the interface in ``base`` and never asks for a feature's kind. A new kind is one file with a subclass
of ``base.Feature``, registered by ``registry.register`` or by an entry point, see ``registry``. Modules of this package
import neither TensorFlow nor Beam; methods that need TensorFlow import it.
"""
