"""Named invariants, checked after every step. An artifact that did not change since its check is not read again."""

import json

import absence
import numpy as np
import pyarrow.parquet as pq
from live_loading import load_version
from naive_shop import SPACES, has_lifecycle
from served_version import ServedVersion
from shop import OOV

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.serving.deltas.chain import deltas_folder, read_chain
from tfrs_pretrain.serving.labels.models_config import model_entry


class ViolationError(Exception):
    """An invariant does not hold."""

    def __init__(self, invariant, what):
        super().__init__(f"{invariant}: {what}")
        self.invariant = invariant


def require(condition, invariant, what):
    """Raises ViolationError unless a condition holds."""
    if not condition:
        raise ViolationError(invariant, what() if callable(what) else what)


def check(world):
    """Checks all invariants."""
    for run in world.generations.values():
        once(world, world.folder("dataset", run.number) / "dataset_info.json", run, check_dataset)
        if run.embeddings:
            once(world, world.folder("embeddings", run.number) / "manifest.json", run, check_embeddings)
        if run.indexed:
            once(world, world.folder("index", run.number) / "manifest.json", run, check_index)
        if run.tables:
            once(world, world.folder("ranker", run.number) / "manifest.json", run, check_ranker)
    for number in world.versions:
        check_version(world, number)
    check_served(world)
    check_leftovers(world)
    if world.has_forgotten:
        check_absence(world)


def check_absence(world):
    """No file contains a forgotten id or its rows."""
    for path, place in absence.find_ids(world):
        raise ViolationError("absent after forget", f"{place} in {path.relative_to(world.shop.root)}")
    world.has_forgotten = False


def once(world, manifest, run, function):
    """Calls a check unless the artifact was checked and has not been replaced since."""
    try:
        state = manifest.stat()
    except OSError:
        raise ViolationError("artifacts stay", f"{manifest} is missing") from None
    key = (str(manifest), state.st_ino, state.st_mtime_ns, len(world.forgotten["user"]), len(world.forgotten["item"]))
    if world.checked.get(str(manifest)) != key:
        function(world, run)
        world.checked[str(manifest)] = key


def check_dataset(world, run):
    """Vocabularies, life cycle, frequencies."""
    folder = world.folder("dataset", run.number)
    info = json.loads((folder / "dataset_info.json").read_text())
    for space in SPACES:
        table = pq.read_table(folder / "vocabulary" / f"{space}.parquet")
        twin = run.vocabularies[space]
        ids, counts = table["id"].to_pylist(), table["count"].to_pylist()
        require(len([value for value in ids if value is not None]) <= world.settings.max_size[space], "hard cap",
                lambda space=space: f"{space}: more ids than {world.settings.max_size[space]}")
        for value in world.forgotten[space]:
            require(value not in ids or value in twin.lives, "absent after forget", f"{value} in {folder}")
        require(ids == twin.rows, "survivors keep their rows",
                lambda space=space, ids=ids, twin=twin: f"{space} ids {ids}, expected {twin.rows}")
        expected = [0 if value is None else round(twin.lives[value].decayed) for value in twin.rows]
        require(counts == expected, "counts add up",
                lambda space=space, counts=counts, expected=expected: f"{space} {counts}, expected {expected}")
        if has_lifecycle(world.settings):
            for column, name in (("decayed_count", "decayed"), ("first_window", "first"), ("last_window", "last")):
                found = [each for each, value in zip(table[column].to_pylist(), ids, strict=True) if value is not None]
                lives = [getattr(twin.lives[value], name) for value in ids if value is not None]
                require(found == lives, "reused row is fresh",
                        lambda column=column, found=found, lives=lives: f"{column} {found}, expected {lives}")
    if run.changes:
        require(info["lifecycle"] == run.changes, "counts add up",
                lambda: f"lifecycle {info['lifecycle']}, expected {run.changes}")
    probability = np.load(folder / "pairs" / "candidate_probability.npy")
    twin = run.vocabularies["item"]
    items = [item for _, item in run.pairs]
    expected = [items.count(value) / max(len(items), 1) if value is not None else 0.0 for value in twin.rows]
    require(probability[OOV["item"]:].tolist() == expected, "frequencies by row",
            lambda: f"{probability.tolist()}, expected {expected}")
    for split, records in (("pairs/train", run.pairs), ("impressions/train", run.impressions),
                           ("impressions/validation", run.validation)):
        require(info["splits"][split]["examples"] == len(records), "counts add up",
                lambda split=split, records=records: f"{split} {info['splits'][split]['examples']}, {len(records)}")


def check_rows(invariant, run, space, table, expected):
    """Compares the rows of all ids, and that free rows are not those of an id."""
    for value, position in run.rows(space).items():
        found = table[position + OOV[space]]
        require(found.tobytes() == expected[value].tobytes(), invariant,
                lambda value=value, found=found: f"run {run.number}, {space} {value}: {found}, expected "
                                                 f"{expected[value]}")


def check_embeddings(world, run):
    """Rows and trained flags of Stage I."""
    folder = world.folder("embeddings", run.number)
    for space in SPACES:
        check_rows("pretrained rows by id", run, space, np.load(folder / space / "rows.npy"), run.embeddings[space])
        if (folder / space / "trained.npy").is_file():
            flags = np.load(folder / space / "trained.npy")
            found = {value for value, position in run.rows(space).items() if flags[position + OOV[space]]}
            require(found == run.trained[space], "reused row is fresh",
                    lambda found=found, space=space: f"trained {found}, expected {run.trained[space]}")


def check_index(world, run):
    """Entries of the item index."""
    import faiss

    index = faiss.read_index(str(world.folder("index", run.number) / "exact.faiss"))
    labels = faiss.vector_to_array(index.id_map)
    vectors = faiss.downcast_index(index.index).reconstruct_n(0, index.ntotal)
    found = {int(label): vector.tobytes() for label, vector in zip(labels, vectors, strict=True)}
    expected = {position + OOV["item"]: normalized(run.embeddings["item"][value])
                for value, position in run.rows("item").items()}
    require(found.keys() == expected.keys(), "index entries by id",
            lambda: f"run {run.number}: rows {sorted(found)}, expected {sorted(expected)}")
    require(found == expected, "index entries by id", lambda: f"run {run.number}: vectors differ")


def normalized(row):
    """A row as the index stores it."""
    return row.tobytes()


def check_ranker(world, run):
    """Rows of the ranker."""
    for space in SPACES:
        table = np.load(world.folder("ranker", run.number) / "tables" / f"{space}.npy")
        check_rows("ranker rows by id", run, space, table, run.tables[space])


def check_version(world, number):
    """Base and deltas have the contents of full exports."""
    folder, version = world.version_folder(number), world.versions[number]
    deltas = deltas_folder(folder)
    names = sorted(path.name for path in deltas.iterdir() if path.name.isdigit()) if deltas.is_dir() else []
    manifests = [folder / "assets.extra" / "manifest.json", *(deltas / name / "manifest.json" for name in names)]
    key = (number, *((path.stat().st_ino, path.stat().st_mtime_ns) for path in manifests), tuple(names),
           len(world.forgotten["user"]), len(world.forgotten["item"]))
    if world.checked.get(number) == key:
        return
    require(len(names) == len(version.contents) - 1, "chain has its deltas", f"{number}: {names}")
    found = load_version(folder).content()
    require_equal("version serves its ranker", f"version {number}", found, version.contents[0])
    try:
        state = read_chain(folder).state()
    except UserError as error:
        raise ViolationError("base + deltas = full", str(error)) from error
    found = ServedVersion.of_state(state).content()
    require_equal("base + deltas = full", f"version {number} with {len(names)} deltas", found, version.contents[-1])
    world.checked[number] = key


def require_equal(invariant, what, found, expected):
    """Compares contents by key."""
    def difference():
        keys = sorted(key for key in {*found, *expected} if found.get(key) != expected.get(key))
        shown = {key: (found.get(key) and np.frombuffer(found[key], np.float32),
                       expected.get(key) and np.frombuffer(expected[key], np.float32)) for key in keys[:3]}
        return f"{what} differs in {len(keys)} entries: {shown}"

    require(found == expected, invariant, difference)


def check_served(world):
    """Labels and what is served."""
    entry = model_entry(world.shop.labels, "shop")
    labels = dict(entry.version_labels)
    require(labels == world.labels, "nothing served that no gate let through",
            lambda: f"labels {labels}, expected {world.labels}")
    server = world.server
    require(server.labels == world.labels, "server follows the labels",
            lambda: f"server has {server.labels}, expected {world.labels}")
    for number in world.labels.values():
        found, version, applied = server.loaded[number], world.versions[number], world.served_deltas.get(number, 0)
        expected = version.states[applied] if version.states else None
        require(found.delta_version == expected, "server's delta version",
                lambda found=found, expected=expected: f"{found.delta_version}, expected {expected}")
        require_equal("served content", f"version {number} on the server after {applied} deltas", found.content(),
                      version.contents[applied])


def check_leftovers(world):
    """Only abandoned runs leave temporary files and folders; the next run of the same command removes them."""
    for folder in (world.shop.root, world.shop.root / "runs", world.shop.model, *world.shop.model.glob("*.deltas")):
        left = [path.name for path in folder.iterdir() if path.name.startswith(".")
                and (folder.name, path.name.split(".")[1]) not in world.abandoned]
        require(not left, "no leftovers", f"{left} in {folder.name}")
