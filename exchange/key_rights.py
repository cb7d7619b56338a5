"""What an API key may do, and what of that is wrong for a box. Pure.

Rules of this file: what a venue does not tell is None and is no finding by itself; a right that was
not understood counts as not told. Whoever can withdraw can empty the account: such a key has no
place on a box.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from exchange.errors import AnswerUntrusted

# Binance, GET /sapi/v1/account/apiRestrictions: rights beyond reading and spot trading, and what
# they let a thief of the key do.
_MORE: Mapping[str, str] = {
    "enableInternalTransfer": "move money to other accounts",
    "permitsUniversalTransfer": "move money between this account's wallets",
    "enableMargin": "borrow",
    "enableFutures": "trade futures",
    "enableVanillaOptions": "trade options",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRights:
    """What one key may do; None: the venue does not tell.

    `more`: in words, what it may do beyond what a node needs.
    """

    can_trade: bool | None
    can_withdraw: bool | None = None
    is_address_bound: bool | None = None
    more: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySeen:
    """What one look with a key showed.

    `venue_ahead_ms`: the venue's clock minus this box's wall clock, good to `error_ms`.
    """

    account_id: str = field(repr=False)
    rights: KeyRights
    venue_ahead_ms: float
    error_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RightsProblem:
    """One thing that is wrong with a key.

    `is_grave`: real money must not begin like this. `is_hint`: many homes cannot do better.
    """

    what: str
    fix: str
    is_grave: bool = False
    is_hint: bool = False


def judge_rights(rights: KeyRights) -> tuple[RightsProblem, ...]:
    """Return what is wrong with a key's rights, worst first."""
    found: list[RightsProblem] = []
    if rights.can_withdraw:
        found.append(
            RightsProblem(
                what="the API key may withdraw: whoever takes the box can empty the account",
                fix="delete this key and make one that may read and trade spot only",
                is_grave=True,
            )
        )
    if rights.can_trade is False:
        found.append(
            RightsProblem(
                what="the API key may not trade",
                fix="switch spot trading on for this key, or use one that may",
                is_grave=True,
            )
        )
    if rights.more:
        found.append(
            RightsProblem(
                what=f"the API key may also {', '.join(rights.more)}",
                fix="take these rights from it: a node reads and trades spot only",
            )
        )
    if rights.is_address_bound is False:
        found.append(
            RightsProblem(
                what="the API key is not bound to an address: it works from everywhere",
                fix="bind it to your home's address, if that one is fixed",
                is_hint=True,
            )
        )
    return tuple(found)


def parse_can_trade(unified: Any) -> bool | None:
    """Return whether the account may trade, from a balance answer; None when it does not say."""
    info = unified.get("info") if isinstance(unified, Mapping) else None
    found = info.get("canTrade") if isinstance(info, Mapping) else None
    return found if isinstance(found, bool) else None


def parse_restrictions(raw: Any, *, account_can_trade: bool | None) -> KeyRights:
    """Return a key's rights from Binance's own list of them.

    Raises:
        AnswerUntrusted: the rights that matter are not in it.
    """
    told = raw if isinstance(raw, Mapping) else {}
    withdraw, trade = told.get("enableWithdrawals"), told.get("enableSpotAndMarginTrading")
    if not isinstance(withdraw, bool) or not isinstance(trade, bool):
        raise AnswerUntrusted("the key's rights: withdrawing and trading are not told")
    bound = told.get("ipRestrict")
    return KeyRights(
        can_trade=trade and account_can_trade is not False,
        can_withdraw=withdraw,
        is_address_bound=bound if isinstance(bound, bool) else None,
        more=tuple(words for name, words in _MORE.items() if told.get(name) is True),
    )
