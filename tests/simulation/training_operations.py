"""Operations that build a dataset, train both stages and index the items."""

from dataset_stage import build_dataset
from naive_shop import next_generation, pretrained, ranked
from operation import Operation
from shop import OOV
from training_stages import pretrain, train_ranker

from tfrs_pretrain.embeddings.artifact import Embeddings
from tfrs_pretrain.retrieval.build import build_index

# ---- dataset ----

def plan_dataset(world, random):
    newest = world.newest
    if newest and newest.week >= world.week:
        return None
    return {"number": world.number + 1, "week": world.week, "extend": newest and newest.number}


def run_dataset(world, plan):
    extend = world.folder("dataset", plan["extend"]) if plan["extend"] else None
    world.shop.visible = world.visible_files()
    build_dataset(world.shop, plan["week"], world.folder("dataset", plan["number"]), extend)


def commit_dataset(world, plan):
    events = [event for events in world.visible_files().values() for event in events]
    earlier = world.generations[plan["extend"]] if plan["extend"] else None
    world.number = plan["number"]
    world.generations[world.number] = next_generation(world.settings, events, plan["week"], world.number, earlier)


def is_dataset_finished(world, plan):
    return (world.folder("dataset", plan["number"]) / "dataset_info.json").is_file()


# ---- Stage I ----

def plan_pretrain(world, random):
    newest = world.newest
    if newest is None or newest.embeddings:
        return None
    if newest.started:
        return newest.started
    earlier = world.earlier(newest.number, "embeddings")
    return {"number": newest.number, "start": earlier.number if earlier and random.random() < 0.9 else None}


def run_pretrain(world, plan):
    start = world.folder("embeddings", plan["start"]) if plan["start"] else None
    pretrain(world.shop, world.folder("dataset", plan["number"]), world.folder("embeddings", plan["number"]), start,
             plan["number"])


def commit_pretrain(world, plan):
    run = world.generations[plan["number"]]
    earlier = world.generations[plan["start"]] if plan["start"] else None
    run.embeddings, run.trained = pretrained(run, earlier, world.fresh(run, ranker=False), OOV)


def is_pretrain_finished(world, plan):
    folder = world.folder("embeddings", plan["number"])
    return (folder / "manifest.json").is_file()


def abandon_pretrain(world, plan):
    """A killed run may have left a checkpoint after its first epoch, from which the same command continues."""
    run, folder = world.generations[plan["number"]], world.folder("embeddings", plan["number"])
    checkpoint = folder.with_name(f"{folder.name}.checkpoints") / "step-000000001" / "manifest.json"
    if run.first_epoch is None and checkpoint.is_file():
        run.first_epoch, run.started = list(run.pairs), plan


# ---- Stage II ----

def plan_rank(world, random):
    newest = world.newest
    if newest is None or newest.tables or not newest.embeddings:
        return None
    earlier = world.earlier(newest.number, "tables")
    return {"number": newest.number, "start": earlier.number if earlier and random.random() < 0.9 else None,
            "dense": random.random() < 0.5, "good": random.random() < 0.8}


def run_rank(world, plan):
    start = (world.folder("ranker", plan["start"]), world.folder("dataset", plan["start"])) if plan["start"] else None
    train_ranker(world.shop, world.folder("dataset", plan["number"]), world.folder("ranker", plan["number"]),
                 world.folder("embeddings", plan["number"]), start, plan["number"], dense=plan["dense"],
                 good=plan["good"])


def commit_rank(world, plan):
    run = world.generations[plan["number"]]
    earlier = world.generations[plan["start"]] if plan["start"] else None
    run.tables = ranked(run, earlier, world.fresh(run, ranker=True), OOV,
                        transfers=world.settings.arm == "warm_start")
    weights = earlier.dense if earlier else [0.0, 0.0, 1.0]
    run.dense = [weight + 0.25 * plan["dense"] for weight in weights]
    run.good, run.predictions = plan["good"], list(run.validation)


def is_rank_finished(world, plan):
    return (world.folder("ranker", plan["number"]) / "manifest.json").is_file()


# ---- item index ----

def plan_index(world, random):
    found = [run for run in world.generations.values() if run.embeddings and not run.indexed and run.rows("item")]
    return {"number": found[-1].number} if found else None


def run_index(world, plan):
    build_index(Embeddings.open(world.folder("embeddings", plan["number"])), world.folder("index", plan["number"]),
                approximate="none", cutoffs=(2,), queries=2)


def commit_index(world, plan):
    world.generations[plan["number"]].indexed = True


def is_index_finished(world, plan):
    return (world.folder("index", plan["number"]) / "manifest.json").is_file()


OPERATIONS = (
    Operation("dataset", plan_dataset, run_dataset, commit_dataset, is_dataset_finished),
    Operation("pretrain", plan_pretrain, run_pretrain, commit_pretrain, is_pretrain_finished, abandon_pretrain),
    Operation("rank", plan_rank, run_rank, commit_rank, is_rank_finished),
    Operation("index", plan_index, run_index, commit_index, is_index_finished),
)
