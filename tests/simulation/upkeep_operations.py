"""Operations that forget ids and remove what nobody needs any more."""

import pusher
from invariants import require
from operation import Operation
from serving_operations import commit_restart

from tfrs_pretrain.artifact_names import DELTA_KIND
from tfrs_pretrain.artifacts import read_manifest
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.forgetting.run import forget
from tfrs_pretrain.json_documents import json_digest
from tfrs_pretrain.serving.deltas.chain import deltas_folder
from tfrs_pretrain.serving.version_folder import read_version

# ---- forgetting and cleaning ----

def plan_forget(world, random):
    if world.newest is None:
        return None
    space = random.choice(["user", "item"])
    known = sorted(world.newest.vocabularies[space].lives)
    seen = sorted({getattr(event, space) for events in world.shop.files.values() for event in events})
    ids = random.sample(known, min(len(known), random.choice([1, 1, 2]))) + random.sample(seen, 1)
    return {"space": space, "ids": sorted(set(ids)), "stale": _stale(world, space, ids)}


def _stale(world, space, ids):
    """Versions that a server serves with one of the ids: it must load them again."""
    return sorted(number for number in world.labels.values()
                  if any(f"{space} {value}" in world.versions[number].contents[world.served_deltas.get(number, 0)]
                         for value in ids))


def run_forget(world, plan):
    ids = world.shop.root / "ids.txt"
    ids.write_text("".join(f"{value}\n" for value in plan["ids"]))
    has_files = any(path.is_file() for path in world.shop.models.rglob("*"))  # perhaps only of a killed export
    folders = [world.shop.root / "runs", *([world.shop.models] if has_files else [])]
    result = forget(plan["space"], ids, folders)
    ids.unlink()
    if result.leaks:
        raise AssertionError(f"forget reports leaks: {result.leaks}")
    for number in {number for number in world.labels.values() if world.versions[number].states}:
        _push(world, number, plan["stale"])


def _push(world, number, stale):
    """A server without the ids is pushed to; one with them is not."""
    pusher.Clock.now = 0.0
    try:
        pusher.send(world.server, world.version_folder(number), world.shop.secret)
        refused = False
    except UserError as error:
        refused = "forgotten since" in str(error)
        require(refused, "a server without the ids is pushed to", str(error))
    require(refused == (number in stale), "a server with forgotten ids must load the version again",
            lambda: f"version {number}: {refused}, expected {number in stale}")


def commit_forget(world, plan):
    space, ids = plan["space"], plan["ids"]
    for events in world.shop.files.values():
        events[:] = [event for event in events if getattr(event, space) not in ids]
    for run in world.generations.values():
        run.forget(space, ids)
    for number, version in world.versions.items():
        for content in version.contents:
            for value in ids:
                content.pop(f"{space} {value}", None)
        if version.states:
            version.states = _states(world.version_folder(number))
    world.forgotten[space] |= set(ids)
    world.has_forgotten = True
    world.served_deltas |= {number: len(world.versions[number].contents) - 1 for number in world.labels.values()
                            if world.versions[number].states}
    if plan["stale"]:
        world.server.restart()
        commit_restart(world, plan)


def _states(folder):
    """What a server with a version, and with each of its deltas, answers to ``delta_version``."""
    deltas = deltas_folder(folder)
    paths = sorted(path for path in deltas.iterdir() if path.name.isdigit()) if deltas.is_dir() else []
    return [read_version(folder)["live"]["token"], *(json_digest(read_manifest(path, DELTA_KIND)) for path in paths)]


def plan_clean(world, random):
    keep = {*world.labels.values(), *sorted(world.versions)[-2:]}
    versions = sorted(set(world.versions) - keep)
    runs = {*sorted(world.generations)[-3:], *(number for kept in keep for number in
                                              world.versions[kept].generations)} if world.generations else set()
    # A killed run that left a checkpoint is continued by the same command.
    runs |= {run.started["start"] for run in world.generations.values() if run.started and not run.embeddings}
    return {"versions": versions, "runs": sorted(set(world.generations) - runs)}


def run_clean(world, plan):
    for version in plan["versions"]:
        world.remove(deltas_folder(world.version_folder(version)))
        world.remove(world.version_folder(version))
    for number in plan["runs"]:
        for stage in ("index", "ranker", "embeddings", "dataset"):
            world.remove(world.folder(stage, number))


def commit_clean(world, plan):
    for version in plan["versions"]:
        del world.versions[version]
    for number in plan["runs"]:
        del world.generations[number]


OPERATIONS = (
    Operation("forget", plan_forget, run_forget, commit_forget),
    Operation("clean", plan_clean, run_clean, commit_clean),
)
