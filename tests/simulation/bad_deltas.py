"""Deltas that must be refused by name: torn, copied, renamed, missing, foreign, stale, or sent twice."""

import shutil

import numpy as np
import pusher
from invariants import ViolationError
from operation import Operation
from world import World

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.serving.client import Predict
from tfrs_pretrain.serving.deltas.chain import delta_name, deltas_folder, read_chain
from tfrs_pretrain.serving.live.push_secret import read_key
from tfrs_pretrain.serving.protocol.signature_names import APPLY_DELTA
from tfrs_pretrain.serving.pushing.chunks import delta_chunks

KINDS = ("torn", "flipped", "copied", "missing", "swapped", "foreign", "stale", "sent twice", "shortened")


def plan_tamper(world: World, random):
    found = [number for number, version in world.versions.items() if len(version.contents) > 1]
    if not found:
        return None
    version = random.choice(found)
    kinds = [kind for kind in KINDS if _applies(world, version, kind)]
    kind = "stale" if "stale" in kinds and random.random() < 0.5 else random.choice(kinds)
    return {"version": version, "kind": kind, "draw": random.random(), "byte": random.random(),
            "others": [number for number in found if number != version]}


def _applies(world, version, kind):
    count = len(world.versions[version].contents) - 1
    if kind in ("missing", "swapped"):
        return count > 1
    if kind == "foreign":
        return any(len(other.contents) > 1 for number, other in world.versions.items() if number != version)
    if kind == "stale":
        return _stale(world, version) is not None
    return kind not in ("sent twice", "shortened") or world.served_deltas.get(version, 0) > 0


def _stale(world, version):
    """A delta that was withdrawn, whose number is next, but whose predecessor is another."""
    count, folder = len(world.versions[version].contents), world.shop.root / "withdrawn" / str(version)
    if not folder.is_dir():
        return None
    number = delta_name(count)
    chain = read_chain(world.version_folder(version))
    for path in sorted(folder.glob(f"*/{number}")):
        if f'"predecessor": "{chain.digest}"' not in (path / "manifest.json").read_text():
            return path
    return None


def run_tamper(world: World, plan):
    """Damages a chain, expects that everything refuses it, and restores it."""
    base = world.version_folder(plan["version"])
    if plan["kind"] == "sent twice":
        _send_twice(world, plan["version"], base)
        return
    folder = deltas_folder(base)
    copy = world.shop.root / "copy"
    shutil.copytree(folder, copy)
    try:
        _damage(world, folder, plan)
        if plan["kind"] != "shortened":
            _must_refuse(lambda: read_chain(base).state(), plan)
        if world.versions[plan["version"]].states and plan["version"] in world.server.loaded:
            _must_refuse(lambda: pusher.send(world.server, base, world.shop.secret), plan)
    finally:
        shutil.rmtree(folder)
        copy.rename(folder)


def _must_refuse(call, plan):
    try:
        call()
    except UserError:
        return
    raise ViolationError("bad deltas are refused", f"a {plan['kind']} delta was accepted")


def _send_twice(world, version, base):
    """Sends chunks that the server has applied, and one that it cannot apply yet."""
    server, chain = world.server, read_chain(base)
    live, state, sent = chain.manifest["live"], chain.base_state(), []
    for delta, before in zip(chain.deltas, world.versions[version].states, strict=False):
        state = delta.apply(state)
        sent += delta_chunks(delta, state, before, live)
    key, before = read_key(world.shop.secret), server.loaded[version].delta_version
    for chunk in (chunk for chunk in sent if chunk.predecessor != before):
        strings = {"secret": key, "predecessor": chunk.predecessor, "successor": chunk.successor}
        inputs = chunk.inputs | {name: np.array(value, object) for name, value in strings.items()}
        request = Predict(inputs | {"settled": np.array(0)}, APPLY_DELTA)
        _must_refuse(lambda request=request: server.predict(version, request), {"kind": "sent twice"})


def _damage(world, folder, plan):
    names = sorted(path.name for path in folder.iterdir() if path.name.isdigit())
    kind, following = plan["kind"], folder / delta_name(len(names) + 1)
    if kind in ("torn", "flipped"):
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        path = files[int(plan["draw"] * len(files))]
        data = bytearray(path.read_bytes())
        place = int(plan["byte"] * len(data))
        path.unlink()
        data[place] ^= 16
        path.write_bytes(data[:place] if kind == "torn" else data)
    elif kind == "copied":
        shutil.copytree(folder / names[-1], following)
    elif kind == "missing":
        shutil.rmtree(folder / names[int(plan["draw"] * (len(names) - 1))])
    elif kind == "swapped":
        (folder / names[-1]).rename(folder / "other")
        (folder / names[-2]).rename(folder / names[-1])
        (folder / "other").rename(folder / names[-2])
    elif kind == "foreign":
        other = deltas_folder(world.version_folder(plan["others"][0]))
        shutil.rmtree(folder / names[-1])
        shutil.copytree(other / "000001", folder / names[-1])
    elif kind == "shortened":  # the server has a delta that the chain has not
        for name in names[world.served_deltas[plan["version"]] - 1:]:
            shutil.rmtree(folder / name)
    elif kind == "stale":
        shutil.copytree(_stale(world, plan["version"]), following)


def commit_tamper(world: World, plan):
    """Nothing changed."""


def plan_withdraw(world: World, random):
    """An operator withdraws the last deltas that no server has, because their training was wrong."""
    found = [(number, len(version.contents)) for number, version in world.versions.items()
             if len(version.contents) > 1 + world.served_deltas.get(number, 0) + 1]
    if not found:
        return None
    version, count = random.choice(found)
    return {"version": version, "first": max(1 + world.served_deltas.get(version, 0), count - 2)}


def run_withdraw(world: World, plan):
    folder = deltas_folder(world.version_folder(plan["version"]))
    target = world.shop.root / "withdrawn" / str(plan["version"])
    target = target / str(len(list(target.glob("*"))) if target.is_dir() else 0)
    target.mkdir(parents=True)
    for path in sorted(folder.iterdir()):
        if path.name.isdigit() and int(path.name) >= plan["first"]:
            path.rename(target / path.name)


def commit_withdraw(world: World, plan):
    version = world.versions[plan["version"]]
    for name in ("contents", "generations", "states"):
        setattr(version, name, getattr(version, name)[:plan["first"]])


OPERATIONS = (
    Operation("tamper", plan_tamper, run_tamper, commit_tamper, faults=False),
    Operation("withdraw", plan_withdraw, run_withdraw, commit_withdraw, faults=False),
)
