"""Keys of version 0.1, read for one more version: in stored artifacts, users' files, ``--set`` and experiments."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from rich.text import Text

from tfrs_pretrain.progress import error_console

Tree = dict[str, Any]
_SHOWN = 4
_SOFTMAX, _COSINE, _UNIFORM = "softmax", "cosine_contrastive", "uniform"
# Old key -> kinds that use it, value that 0.1 stored where nobody set it, and whether 0.1 refused it elsewhere.
_OBJECTIVE_KEYS: dict[str, tuple[tuple[str, ...], Any, bool]] = {
    "temperature": ((_SOFTMAX,), 0.07, False), "learn_temperature": ((_SOFTMAX,), False, True),
    "normalize": ((_SOFTMAX,), True, True), "popularity_prior": ((_SOFTMAX,), 0.0, True),
    "margin": ((_COSINE,), 0.4, False), "negative_weight": ((_COSINE,), 50.0, False)}
_NEGATIVES_KEYS: dict[str, tuple[tuple[str, ...], Any, bool]] = {
    "uniform_negatives": (("mixed", _UNIFORM), 0, True),
    "log_q": (("in_batch", "mixed"), True, False), "log_q_form": (("in_batch", "mixed"), "classic", False),
    "remove_accidental_hits": (("in_batch", "mixed"), True, False),
    "mask_known_positives": (("in_batch", "mixed", _UNIFORM), False, False)}
_TRAINABLE = ("warm_start", "frozen_then_trainable")
_PRETRAINED = (*_TRAINABLE, "frozen")
_TRANSFER_KEYS: dict[str, tuple[tuple[str, ...], Any, bool]] = {
    "pretrained_learning_rate_scale": (_TRAINABLE, 0.1, False),
    "trainable_from_step": (("frozen_then_trainable",), None, True),
    "pretrained_dropout": (_PRETRAINED, 0.0, True), "pretrained_dropout_of": (_PRETRAINED, "values", False),
    "fresh_dim": (_PRETRAINED, 0, True)}
_TEACHER_KEYS: dict[str, tuple[tuple[str, ...], Any, bool]] = {
    "hidden": (("online",), [256, 128], False), "backbone": (("online",), None, False),
    "privileged": (("online",), True, False)}
_MEDA_KEYS: dict[str, tuple[tuple[str, ...], Any, bool]] = {"chunks": (("continual",), None, True)}


class Notices:
    """Lines about old keys, each printed once in a process."""

    def __init__(self) -> None:
        self._printed: set[str] = set()

    def show(self, origin: str, changes: Iterable[str]) -> None:
        """Prints one line that lists the first changes in ``origin``, unless these keys were named before."""
        new = [change for change in dict.fromkeys(changes) if change not in self._printed]
        if not new:
            return
        self._printed.update(new)
        more = f" and {len(new) - _SHOWN} more" if len(new) > _SHOWN else ""
        error_console.print(Text(f"{origin}: keys of version 0.1, which the next version refuses: "
                           f"{'; '.join(new[:_SHOWN])}{more}", style="yellow"), soft_wrap=True)


notices = Notices()


def migrate(tree: Mapping[str, Any]) -> tuple[Tree, list[str]]:
    """Copy of a configuration with the keys of this version, and the changes in words.

    What version 0.1 accepted and ignored is left out. What it refused stays, for the models to refuse.

    Args:
      tree: of old keys, new keys or both; an old key wins over its new spelling.
    """
    new: Tree = copy.deepcopy(dict(tree))
    changes: list[str] = []
    if new.pop("completejourney", None) is not None:
        changes.append("completejourney: read by the demo's commands only")
    if isinstance(new.get("pretraining"), dict):
        new["pretraining"] = migrate_pretraining(new["pretraining"], changes)
    if isinstance(ranking := new.get("ranking"), dict):
        if "looks_per_epoch" in ranking:
            ranking["evals_per_epoch"] = ranking.pop("looks_per_epoch")
            changes.append("ranking.looks_per_epoch -> evals_per_epoch")
        if isinstance(ranking.get("arms"), dict):
            ranking["arms"] = {name: migrate_arm(arm, changes) if isinstance(arm, dict) else arm
                               for name, arm in ranking["arms"].items()}
    return new, changes


def migrate_experiment(tree: Mapping[str, Any]) -> tuple[Tree, list[str]]:
    """Copy of an experiment's file with the settings of the demo's logs below ``logs``, and the changes in words."""
    new: Tree = copy.deepcopy(dict(tree))
    changes: list[str] = []
    logs, shared = new.get("logs"), new.get("set")
    if isinstance(shared, dict) and isinstance(logs, dict) and logs.get("source") == "completejourney":
        for key in [key for key in shared if str(key).startswith("completejourney.")]:
            logs[key.partition(".")[2]] = shared.pop(key)
            changes.append(f"set.{key} -> logs.{key.partition('.')[2]}")
    return new, changes


def migrate_pretraining(section: Mapping[str, Any], changes: list[str]) -> Tree:
    """The section ``pretraining``; appends to ``changes``."""
    new: Tree = copy.deepcopy(dict(section))
    if not {"negatives", *_OBJECTIVE_KEYS, *_NEGATIVES_KEYS} & new.keys():
        return new
    objective = _with_kind(new.pop("objective", None), _SOFTMAX)
    negatives = _with_kind(objective.get("negatives"),
                           "in_batch" if objective["kind"] == _SOFTMAX else _UNIFORM)
    if "negatives" in new:
        negatives["kind"] = new.pop("negatives")
        changes.append("pretraining.negatives -> objective.negatives")
    place = "pretraining"
    moved = _moved(new, _NEGATIVES_KEYS, negatives["kind"], place, "objective.negatives", changes)
    if "uniform_negatives" in moved:
        moved["count"] = moved.pop("uniform_negatives")
    form = moved.pop("log_q_form", None)
    if "log_q" in moved or form:
        moved["log_q"] = (form or "classic") if moved.get("log_q", True) else "none"
    negatives |= moved
    objective |= _moved(new, _OBJECTIVE_KEYS, objective["kind"], place, "objective", changes)
    if negatives.keys() > {"kind"} or negatives["kind"] != "in_batch":
        objective["negatives"] = negatives
    return new | {"objective": objective}


def migrate_arm(arm: Mapping[str, Any], changes: list[str]) -> Tree:
    """One entry of ``ranking.arms``; appends to ``changes``."""
    new: Tree = copy.deepcopy(dict(arm))
    if _TRANSFER_KEYS.keys() & new.keys():
        transfer = _with_kind(new.get("transfer"), "scratch")
        new["transfer"] = transfer | _moved(new, _TRANSFER_KEYS, transfer["kind"], "arm", "transfer", changes)
    if isinstance(new.get("tables"), dict):
        new["tables"] = {name: _table(table, changes) for name, table in new["tables"].items()}
    if isinstance(new.get("distillation"), dict):
        new["distillation"] = migrate_distillation(new["distillation"], changes)
    if isinstance(meda := new.get("meda"), dict) and ("variant" in meda or meda.get("chunks", 0) is None):
        kind = meda.pop("variant", "non_continual")
        changes.append("arm.meda.variant -> meda.kind")
        new["meda"] = {"kind": kind, **_moved(meda, _MEDA_KEYS, kind, "arm.meda", "meda", []), **meda}
    return new


def migrate_distillation(section: Mapping[str, Any], changes: list[str]) -> Tree:
    """The section ``distillation`` of an arm; appends to ``changes``."""
    new: Tree = copy.deepcopy(dict(section))
    teacher, place = new.pop("teacher", {}), "arm.distillation"
    if isinstance(teacher, str) and teacher not in ("online", "fixed"):
        changes.append(f"{place}.teacher -> teacher.path")
        teacher = {"kind": "fixed", "path": teacher}
    teacher = _with_kind(teacher, "online")
    teacher |= _moved(new, _TEACHER_KEYS, teacher["kind"], place, "teacher", changes)
    return new | ({"teacher": teacher} if teacher != {"kind": "online"} else {})


def _table(table: Any, changes: list[str]) -> Any:
    """One entry of ``tables``, whose keys had the same names beside ``transfer``."""
    if not isinstance(table, dict) or "transfer" not in table:
        return table
    kind = table.pop("transfer")
    changes.append("arm.tables.<table>.transfer -> kind")
    return {"kind": kind, **_moved(table, _TRANSFER_KEYS, kind, "arm.tables", "tables", []), **table}


def _with_kind(value: Any, default: str) -> Tree:
    """A member of a union in its long form."""
    if value is None or isinstance(value, Mapping):
        return {"kind": default, **(value or {})}
    return {"kind": value}


def _moved(section: Tree, keys: Mapping[str, tuple[tuple[str, ...], Any, bool]], kind: str, place: str, target: str,
           changes: list[str]) -> Tree:
    """Takes the old keys out of ``section`` and returns those that belong to ``kind`` or that 0.1 refused beside it."""
    moved: Tree = {}
    for key in [key for key in keys if key in section]:
        value = section.pop(key)
        kinds, default, refused = keys[key]
        if kind in kinds or (refused and value != default):
            moved[key] = value
            changes.append(f"{place}.{key} -> {target}")
        elif value != default:
            changes.append(f"{place}.{key} has no effect with {kind} and is ignored")
    return moved
