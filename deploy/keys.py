"""Whether the two boxes' exchange keys fit together, as the exchange itself says. Pure.

Each box has a key of its own (one that leaks can be ended alone, and the venue's log names it), of
the same account, and none may withdraw.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from exchange.key_rights import judge_rights
from node.doctor.reach import How, VenueLook

SHOWN = 4
"""Characters of a key that are shown: enough to find it in the exchange's list."""


@dataclass(slots=True, kw_only=True)
class KeysJudged:
    """What stands against these keys, what could not be asked, and what should be known."""

    problems: list[str] = field(default_factory=list)
    unasked: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def masked(key: str) -> str:
    """Return a key as it may be shown."""
    return f"{key[:SHOWN]}…"


def judge_keys(keys: Mapping[str, str], looks: Mapping[str, VenueLook]) -> KeysJudged:
    """Judge the keys of all nodes.

    Args:
        keys: API key by node.
        looks: what one look at the exchange with each showed.
    """
    judged = KeysJudged()
    if len(set(keys.values())) < len(keys):
        judged.problems.append(
            "both boxes have the same API key\n    → make one for each: one that leaks can be "
            "ended alone"
        )
    for node_id, look in looks.items():
        _judge_one(node_id, look, judged)
    accounts = {n: look.key.account_id for n, look in looks.items() if look.key is not None}
    if len(set(accounts.values())) > 1:
        judged.problems.append(
            f"the keys of {' and '.join(accounts)} belong to different accounts\n    → the spare "
            "would trade another account: make both keys in one"
        )
    if not judged.problems and len(accounts) == len(keys) > 1:
        last = "" if judged.unasked else ", none may withdraw"
        judged.notes.insert(0, f"asked of the exchange: different keys of the same account{last}")
    return judged


def _judge_one(node_id: str, look: VenueLook, judged: KeysJudged) -> None:
    if look.key is None:
        if look.how is How.REFUSED:
            judged.problems.append(f"{node_id}: the exchange refuses the key: {look.reason}")
        else:
            judged.unasked.append(f"{node_id}: the exchange could not be asked: {look.reason}")
        return
    rights = look.key.rights
    for found in judge_rights(rights):
        texts = judged.problems if found.is_grave else judged.notes
        texts.append(f"{node_id}: {found.what}\n    → {found.fix}")
    if rights.can_withdraw is None:
        judged.unasked.append(
            f"{node_id}: this exchange does not tell whether the key may withdraw"
        )
