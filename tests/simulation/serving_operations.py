"""Operations that export versions and deltas, and decide what a server serves."""

import pusher
from invariants import require, require_equal
from operation import Operation
from shop import NAME
from world import GATE, LABEL, Version

from tfrs_pretrain.artifact_names import DELTA_KIND
from tfrs_pretrain.artifacts import read_manifest
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.evaluation import promotion
from tfrs_pretrain.json_documents import json_digest
from tfrs_pretrain.serving.deltas.chain import deltas_folder
from tfrs_pretrain.serving.exporting.compaction import compact
from tfrs_pretrain.serving.exporting.delta import export_delta
from tfrs_pretrain.serving.exporting.export import export
from tfrs_pretrain.serving.labels.models_config import model_entry
from tfrs_pretrain.serving.labels.moves import PREVIOUS, ROLLED_BACK, previous_version, rolled_back_version
from tfrs_pretrain.serving.labels.promotion import LabelMove
from tfrs_pretrain.serving.labels.rollout import Rollout
from tfrs_pretrain.serving.version_folder import read_version

# ---- export, delta, compaction ----

def _ranker(world):
    found = [run for run in world.generations.values() if run.tables]
    return max(found, key=lambda run: run.number) if found else None


def plan_export(world, random):
    run = _ranker(world)
    if run is None or any(version.generations[0] == run.number for version in world.versions.values()):
        return None
    return {"number": run.number, "version": max(world.versions, default=0) + 1}


def run_export(world, plan):
    run = world.generations[plan["number"]]
    dataset = Dataset.open(world.folder("dataset", run.number))
    export(world.config(run), dataset, world.folder("ranker", run.number), world.shop.models)


def commit_export(world, plan):
    run = world.generations[plan["number"]]
    live = read_version(world.version_folder(plan["version"])).get("live")
    require(bool(live) == world.settings.live, "live updates as configured", f"version {plan['version']}: {live}")
    world.versions[plan["version"]] = Version([world.content(run)], [run.number], [live["token"]] if live else [])


def is_version_finished(world, plan):
    return world.version_folder(plan["version"]).is_dir()


def _judged(world, folder):
    return promotion.promote(folder, GATE, None).verdict == promotion.PROMOTED


def plan_delta(world, random):
    run = _ranker(world)
    if run is None or not world.versions:
        return None
    base = world.labels.get(LABEL, max(world.versions))
    version = world.versions[base]
    if run.number <= max(version.generations) or len(version.contents) > 6 or not run.predictions:
        return None
    return {"number": run.number, "version": base, "delta": len(version.contents)}


def run_delta(world, plan):
    """The operator exports a delta only of a ranker that passes the gate."""
    run = world.generations[plan["number"]]
    ranker = world.folder("ranker", run.number)
    if _judged(world, ranker):
        export_delta(world.config(run), Dataset.open(world.folder("dataset", run.number)), ranker, world.shop.models,
                     plan["version"])


def commit_delta(world, plan):
    run, version = world.generations[plan["number"]], world.versions[plan["version"]]
    if is_delta_finished(world, plan):
        version.contents.append(world.content(run))
        version.generations.append(run.number)
        if version.states:
            version.states.append(json_digest(read_manifest(_delta(world, plan), DELTA_KIND)))


def is_delta_finished(world, plan):
    return _delta(world, plan).is_dir()


def _delta(world, plan):
    return deltas_folder(world.version_folder(plan["version"])) / f"{plan['delta']:06d}"


def plan_compact(world, random):
    found = [number for number, version in world.versions.items() if len(version.contents) > 1]
    # Seldom, so that chains of deltas that are pushed become long.
    if not found or (world.settings.live and random.random() < 0.7):
        return None
    return {"base": random.choice(found), "version": max(world.versions) + 1}


def run_compact(world, plan):
    compact(world.version_folder(plan["base"]))


def commit_compact(world, plan):
    base = world.versions[plan["base"]]
    if is_version_finished(world, plan):  # else the latest version is of an identical compaction
        live = read_version(world.version_folder(plan["version"])).get("live")
        require(bool(live) == bool(base.states), "live updates as in the base", f"version {plan['version']}: {live}")
        states = [live["token"]] if live else []
        world.versions[plan["version"]] = Version([base.contents[-1]], [base.generations[-1]], states)


# ---- serving ----

def plan_push(world, random):
    base = world.labels.get(LABEL)
    if base is None or world.served_deltas.get(base, 0) + 1 >= len(world.versions[base].states):
        return None
    fault = random.choice(pusher.FAULTS) if random.random() < 0.5 else None
    return {"version": base, "fault": fault, "at": random.randint(2, 16)}


def run_push(world, plan):
    folder, server = world.version_folder(plan["version"]), world.server
    pusher.Clock.now = 0.0  # the same life has the same times
    if plan["fault"]:
        sent = pusher.send_under_fault(server, folder, world.shop.secret, plan["fault"], plan["at"])
        if plan["fault"] == pusher.RESTART and sent.requests >= plan["at"]:
            commit_restart(world, plan)  # also for the other versions
        _check_whole_deltas(world, plan["version"])
    pusher.send(server, folder, world.shop.secret)


def _check_whole_deltas(world, number):
    """Requests see whole deltas, unless a pusher that was out of places has made a part visible."""
    version, loaded = world.versions[number], world.server.loaded[number]
    state, _, part = loaded.delta_version.partition("#")
    require(state in version.states, "server's delta version", lambda: f"{state}, expected one of {version.states}")
    if not loaded.is_partial:
        expected = version.contents[version.states.index(state) - bool(part)]
        require_equal("served content", f"version {number} at {loaded.delta_version}", loaded.content(), expected)


def commit_push(world, plan):
    world.served_deltas[plan["version"]] = len(world.versions[plan["version"]].contents) - 1


def plan_promote(world, random):
    candidates = [number for number, version in world.versions.items() if number != world.labels.get(LABEL)
                  and world.generations[version.generations[0]].predictions]
    if not candidates:
        return None
    return {"version": max(candidates) if random.random() < 0.8 else random.choice(candidates)}


def run_promote(world, plan):
    folder = world.version_folder(plan["version"])
    move = LabelMove.plan(folder, world.shop.labels, LABEL)
    if _judged(world, folder):
        move.execute(world.server)


def commit_promote(world, plan):
    version = plan["version"]
    if world.generations[world.versions[version].generations[0]].passes_gate:
        _label(world, version, PREVIOUS)


def _label(world, version, suffix):
    before = world.labels.get(LABEL)
    world.labels = {LABEL: version} | ({f"{LABEL}{suffix}": before} if before is not None else {})
    kept = set(world.labels.values())
    world.served_deltas = {number: world.served_deltas.get(number, 0) for number in kept}


def plan_roll_back(world, random):
    if f"{LABEL}{ROLLED_BACK}" in world.labels and random.random() < 0.5:
        return {"from": world.labels[LABEL], "undo": True}
    return {"from": world.labels[LABEL], "undo": False} if len(world.labels) > 1 else None


def run_roll_back(world, plan):
    """A repeated rollback changes nothing; a rollback is undone once, so the operator looks at the label."""
    path = world.shop.labels
    if not plan["undo"]:
        Rollout(path, NAME, LABEL, previous_version(path, NAME, LABEL), world.server, ROLLED_BACK).run()
    elif model_entry(path, NAME).version_labels[LABEL] == plan["from"]:
        Rollout(path, NAME, LABEL, rolled_back_version(path, NAME, LABEL), world.server).run()
    world.server.poll()  # as a server does every second


def commit_roll_back(world, plan):
    if plan["undo"]:
        _label(world, world.labels[f"{LABEL}{ROLLED_BACK}"], PREVIOUS)
    elif f"{LABEL}{PREVIOUS}" in world.labels:
        _label(world, world.labels[f"{LABEL}{PREVIOUS}"], ROLLED_BACK)


def plan_restart(world, random):
    return {} if world.labels else None


def run_restart(world, plan):
    world.server.restart()


def commit_restart(world, plan):
    world.served_deltas = dict.fromkeys(world.served_deltas, 0)


OPERATIONS = (
    Operation("export", plan_export, run_export, commit_export, is_version_finished),
    Operation("delta", plan_delta, run_delta, commit_delta, is_delta_finished),
    Operation("compact", plan_compact, run_compact, commit_compact, is_version_finished),
    Operation("push", plan_push, run_push, commit_push, faults=False),
    Operation("promote", plan_promote, run_promote, commit_promote),
    Operation("roll back", plan_roll_back, run_roll_back, commit_roll_back),
    Operation("restart", plan_restart, run_restart, commit_restart),
)
