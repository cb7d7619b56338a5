"""The doctor's checks of what a node needs outside: stores, clocks, the venue, Telegram. Pure.

Rules of this file are those of findings.py: looks in, findings out.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from exchange.key_rights import KeySeen, judge_rights
from node.config_model import Config
from node.doctor.findings import Finding, Level
from node.status_nodes import number_or_none

# Two boxes whose clocks differ by more tell their stories in the wrong order; far below what a
# certificate or the venue would mind.
CLOCKS_APART_MS = 2000.0
MUCH_MEMORY = 0.8
JUST_STARTED_S = 600
ACL_SINCE = 6


class How(StrEnum):
    """How a look at something outside ended."""

    SEEN = "seen"
    REFUSED = "refused"  # it answered no: a person must act
    SILENT = "silent"  # no usable answer: it may be tonight's weather
    SKIPPED = "skipped"  # nothing is configured to look with
    UNUSABLE = "unusable"  # what it is looked at with was refused here


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueLook:
    """One look at the venue with this box's key; `reason` when it was not seen."""

    how: How
    reason: str = ""
    key: KeySeen | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TelegramLook:
    """One look at bot and chat, without a message; `is_about_chat`: the bot itself is good."""

    how: How
    reason: str = ""
    bot: str = ""
    chat: str = ""
    is_about_chat: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockSeen:
    """A node's wall clock minus this machine's, and the venue's minus the node's, as it says."""

    label: str
    ahead_ms: float | None
    venue_ahead_ms: float | None


def read_clock(
    label: str, body: Mapping[str, object], *, age_s: float, now_wall_ms: int
) -> ClockSeen:
    """Return a node's clock from its board entry of this age; other shapes say nothing."""
    wall_ms, venue_ms = (
        number_or_none(body.get("wall_ms")),
        number_or_none(body.get("venue_ahead_ms")),
    )
    return ClockSeen(
        label=label,
        ahead_ms=None if wall_ms is None else wall_ms + age_s * 1000 - now_wall_ms,
        venue_ahead_ms=venue_ms,
    )


def check_clocks(clocks: Sequence[ClockSeen], venue: VenueLook) -> Iterator[Finding]:
    """Clocks of the nodes against each other, of each against the venue's, and this machine's."""
    known = [(clock.label, clock.ahead_ms) for clock in clocks if clock.ahead_ms is not None]
    ordered = sorted(known, key=lambda pair: pair[1])
    if len(ordered) > 1 and ordered[-1][1] - ordered[0][1] > CLOCKS_APART_MS:
        (slow, slow_ms), (fast, fast_ms) = ordered[0], ordered[-1]
        yield _clock(f"the clock of {fast} is {(fast_ms - slow_ms) / 1000:.1f} s ahead of {slow}'s")
    for clock in clocks:
        if clock.venue_ahead_ms is not None and abs(clock.venue_ahead_ms) > CLOCKS_APART_MS:
            yield _clock(
                f"the clock of {clock.label} is {_apart(clock.venue_ahead_ms)} the venue's"
            )
    if venue.key is not None and abs(venue.key.venue_ahead_ms) > CLOCKS_APART_MS:
        yield _clock(f"this machine's clock is {_apart(venue.key.venue_ahead_ms)} the venue's")


def check_venue(venue: VenueLook, config: Config, label: str = "") -> Iterator[Finding]:
    """Whether a box's key signs, and what it may do; `label` is the box's."""
    name = f"{label}: {config.venue.exchange}" if label else config.venue.exchange
    of = f"{label}: " if label else ""
    level, area = Level.ACT, "keys"
    match venue.how:
        case How.SEEN if venue.key is not None:
            yield from _check_rights(venue.key, of)
            return
        case How.REFUSED:
            what = f"{name} refuses: {venue.reason}"
            fix = (
                "check venue.api_key and venue.api_secret in this box's secrets, the symbols, "
                "and what the venue says of the key"
            )
        case How.SILENT:
            level, area = Level.LOOK, "venue"
            what = f"{name} does not answer: {venue.reason}"
            fix = "look at this box's network and name server, and at the venue's status page"
        case How.UNUSABLE:
            what = f"{of}its secrets cannot be used: {venue.reason}"
            fix = "mend that file; nodectl config check says whether it is good"
        case _:
            level = Level.GOOD
            what = f"{of}the API key was not tried: {venue.reason}"
            fix = "run this on the box itself"
    yield Finding(level=level, area=area, what=what, fix=fix)


def _check_rights(key: KeySeen, of: str) -> Iterator[Finding]:
    for problem in judge_rights(key.rights):
        level = Level.GOOD if problem.is_hint else Level.LOOK
        yield Finding(
            level=Level.ACT if problem.is_grave else level,
            area="keys",
            what=f"{of}{problem.what}",
            fix=problem.fix,
        )


def check_accounts(venues: Mapping[str, VenueLook], alike: Collection[str]) -> Iterator[Finding]:
    """Whether the boxes' keys fit together, where one machine has them all.

    Args:
        venues: by box, what a look with its key showed.
        alike: the boxes that use one and the same key.
    """
    if len(alike) > 1:
        yield Finding(
            level=Level.LOOK,
            area="keys",
            what=f"{' and '.join(alike)} use the same API key: the venue cannot tell them apart",
            fix="make a key for each box: one that leaks can be ended alone",
        )
    accounts = {label: look.key.account_id for label, look in venues.items() if look.key}
    if len(set(accounts.values())) > 1:
        yield Finding(
            level=Level.ACT,
            area="keys",
            what=f"the keys of {' and '.join(accounts)} belong to different accounts: the spare "
            "would trade another one",
            fix="make both keys in one account",
        )


def check_telegram(look: TelegramLook) -> Iterator[Finding]:
    """Whether a message would reach you."""
    level = Level.ACT
    match look.how:
        case How.SEEN:
            return
        case How.REFUSED if look.is_about_chat:
            what = f"the bot cannot write to the configured chat: {look.reason}"
            fix = "write /start to it (or add it to the group), then `nodectl telegram test`"
        case How.REFUSED:
            what = f"a chat is configured, but the bot cannot be used: {look.reason}"
            fix = "copy the token from @BotFather into telegram.token of this box's secrets"
        case How.SILENT:
            level, what = Level.LOOK, f"Telegram does not answer: {look.reason}"
            fix = "look at this box's network and clock (a wrong one breaks TLS)"
        case _:
            level, what = Level.GOOD, look.reason
            fix = "docs/alerts.md: make a bot, then `nodectl telegram test`"
    yield Finding(level=level, area="telegram", what=what, fix=fix)


def check_server(name: str, info: Mapping[str, str]) -> Iterator[Finding]:
    """What a store's own words (INFO) say against keeping a lease there; the rest is in peek."""

    def finding(level: Level, what: str, fix: str) -> Finding:
        return Finding(level=level, area="stores", what=f"{name}: {what}", fix=fix)

    has_snapshots = _count(info, "rdb_saves") or _has_saved(info)
    if info.get("aof_enabled") == "1" or has_snapshots:
        how = "appendonly" if info.get("aof_enabled") == "1" else "snapshots"
        yield finding(
            Level.LOOK,
            f"it keeps its data on disk ({how}): that wears a card and serves nothing, because a "
            "store that restarted begins anew",
            'set `save ""` and `appendonly no` in its configuration and restart it',
        )
    most, used = _count(info, "maxmemory"), _count(info, "used_memory")
    if most and used > most * MUCH_MEMORY:
        yield finding(
            Level.LOOK,
            f"it uses {used / most:.0%} of its maxmemory; when that is full it refuses renewals",
            "raise maxmemory, or move what else is kept there",
        )
    version = info.get("redis_version", "").partition(".")[0]
    if version.isdigit() and int(version) < ACL_SINCE and "valkey_version" not in info:
        yield finding(
            Level.GOOD,
            f"Redis {info['redis_version']} has no users: whoever has its password may do all",
            "deploy writes a password and renames the dangerous commands; Redis 6 or newer is "
            "better",
        )
    up_s = _count(info, "uptime_in_seconds")
    if 0 < up_s < JUST_STARTED_S:
        yield finding(
            Level.GOOD,
            f"it was started {up_s} s ago; what it had kept was lost then, and was put back by "
            "the nodes",
            "if nobody restarted it: look at its log, its memory limit and its power",
        )


def _has_saved(info: Mapping[str, str]) -> bool:
    """Tell whether a snapshot was written since the start; before Redis 7 by its time alone."""
    saved_s, up_s = _count(info, "rdb_last_save_time"), _count(info, "uptime_in_seconds")
    now_s = _count(info, "server_time_usec") // 1_000_000
    return bool(saved_s and now_s) and saved_s > now_s - up_s + 2


def _count(info: Mapping[str, str], name: str) -> int:
    text = info.get(name, "")
    return int(text) if text.isdigit() else 0


def _clock(what: str) -> Finding:
    return Finding(
        level=Level.LOOK,
        area="clocks",
        what=f"{what}: certificates, logs and messages depend on it; the lease does not",
        fix="timedatectl status there; let the box reach a time server (UDP port 123)",
    )


def _apart(venue_ahead_ms: float) -> str:
    """Return how a clock stands to the venue's, which is ahead by so much."""
    return f"{abs(venue_ahead_ms) / 1000:.1f} s {'behind' if venue_ahead_ms > 0 else 'ahead of'}"
