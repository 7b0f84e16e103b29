"""Software bill of materials in CycloneDX 1.6 (extra ``sbom``): this package, its needs, an exported version."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Any

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tfrs_pretrain.artifacts import file_digest
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.extras import DISTRIBUTION
from tfrs_pretrain.serving.version_folder import read_version
from tfrs_pretrain.version import __version__


def bill_of_materials(version: Path | None = None) -> str:
    """Returns the bill as JSON.

    Args:
      version: folder of an exported version, whose model is another component; None: only the software.

    Raises:
      UserError: the package is not installed, or the folder is no complete version.
    """
    bom, components = Bom(), _software()
    bom.metadata.component = root = components[DISTRIBUTION]
    for component in components.values():
        if component is not root:
            bom.components.add(component)
    for name, component in components.items():
        bom.register_dependency(component, [components[other] for other in _needs(name, components)])
    if version:
        model = _model(version)
        bom.components.add(model)
        bom.register_dependency(model, [root])
    return str(JsonV1Dot6(bom).output_as_string(indent=2)) + "\n"


def _software() -> dict[str, Component]:
    """Name -> component of this package and all installed packages that it or one of its extras needs."""
    found: dict[str, Component] = {}
    waiting = [DISTRIBUTION]
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in found or (version := _version(name)) is None:
            continue
        found[name] = Component(type=ComponentType.LIBRARY, name=name, version=version, bom_ref=f"{name}=={version}",
                                purl=PackageURL("pypi", None, name, version))
        waiting += [requirement.name for requirement in _requirements(name)]
    if DISTRIBUTION not in found:
        raise UserError(f"{DISTRIBUTION} is not installed here, it runs from a folder of sources: install it with pip, "
                        "whose records the bill of materials is made from")
    return found


def _needs(name: str, components: dict[str, Component]) -> list[str]:
    return sorted({canonicalize_name(requirement.name) for requirement in _requirements(name)} & components.keys())


def _requirements(name: str) -> list[Requirement]:
    """Requirements of an installed package; those of extras only for this package, whose extras are features."""
    extras = metadata.metadata(name).get_all("Provides-Extra") or [] if name == DISTRIBUTION else []
    return [requirement for requirement in map(Requirement, metadata.requires(name) or ())
            if requirement.marker is None
            or any(requirement.marker.evaluate({"extra": extra}) for extra in ("", *extras))]


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _model(folder: Path) -> Component:
    """The exported model, with its files and the digests of what it was made from."""
    manifest: dict[str, Any] = read_version(folder)
    files = [Component(type=ComponentType.FILE, name=path.relative_to(folder).as_posix(),
                       hashes=[HashType(alg=HashAlgorithm.SHA_256, content=file_digest(path))])
             for path in sorted(folder.rglob("*")) if path.is_file()]
    origin = {"ranker_digest": manifest["ranker_digest"], "dataset_digest": manifest["dataset_digest"],
              "code_version": manifest.get("code_version", __version__)}
    return Component(
        type=ComponentType.MACHINE_LEARNING_MODEL, name=manifest["name"], version=str(manifest["version"]),
        bom_ref=f"model:{manifest['name']}/{manifest['version']}", components=files,
        properties=[Property(name=f"{DISTRIBUTION}:{name}", value=str(value)) for name, value in origin.items()])
