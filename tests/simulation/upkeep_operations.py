"""Operations that forget ids and remove what nobody needs any more."""

from operation import Operation
from serving_operations import commit_restart

from tfrs_pretrain.forgetting.run import forget
from tfrs_pretrain.serving.deltas.chain import deltas_folder

# ---- forgetting and cleaning ----

def plan_forget(world, random):
    # Versions with deltas, or with live updates, are refused by name.
    if world.newest is None or any(len(version.contents) > 1 or version.states for version in world.versions.values()):
        return None
    space = random.choice(["user", "item"])
    known = sorted(world.newest.vocabularies[space].lives)
    seen = sorted({getattr(event, space) for events in world.shop.files.values() for event in events})
    ids = random.sample(known, min(len(known), random.choice([1, 1, 2]))) + random.sample(seen, 1)
    return {"space": space, "ids": sorted(set(ids))}


def run_forget(world, plan):
    ids = world.shop.root / "ids.txt"
    ids.write_text("".join(f"{value}\n" for value in plan["ids"]))
    has_files = any(path.is_file() for path in world.shop.models.rglob("*"))  # perhaps only of a killed export
    folders = [world.shop.root / "runs", *([world.shop.models] if has_files else [])]
    result = forget(plan["space"], ids, folders)
    ids.unlink()
    if result.leaks:
        raise AssertionError(f"forget reports leaks: {result.leaks}")


def commit_forget(world, plan):
    space, ids = plan["space"], plan["ids"]
    for events in world.shop.files.values():
        events[:] = [event for event in events if getattr(event, space) not in ids]
    for run in world.generations.values():
        run.forget(space, ids)
    for version in world.versions.values():
        for content in version.contents:
            for value in ids:
                content.pop(f"{space} {value}", None)
    world.forgotten[space] |= set(ids)
    world.has_forgotten = True
    world.server.restart()
    commit_restart(world, plan)


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
