"""Which checkpoints of a run to keep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def to_keep(names: Sequence[str], keep: int, bases: Mapping[str, str]) -> set[str]:
    """Names of the newest checkpoints, and of the full ones that their increments need.

    If these all need the same full checkpoint, the newest one that does not is kept too: one damaged file must not
    cost the whole run. With ``keep`` 1 nothing protects from that.

    Args:
      names: finished checkpoints, the one written last at the end.
      keep: number of the newest ones to keep.
      bases: increment -> its full checkpoint.
    """
    kept = list(names[-keep:])
    needed = {bases.get(name, name) for name in kept}
    others = [name for name in names if bases.get(name, name) not in needed]
    if keep > 1 and len(needed) == 1:
        kept += others[-1:]
    return {*kept, *(bases[name] for name in kept if name in bases)}
