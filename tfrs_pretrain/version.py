"""The version of the package, which manifests and run digests contain."""

__version__ = "0.2.0"
