"""What the doctor looked at, in a few lines: silence about a part must not be taken for health.

Pure.
"""

from collections.abc import Iterator, Mapping

from election.peek import ClusterPeek
from exchange.key_rights import KeyRights
from node.config_model import Config
from node.doctor.box_facts import NODE_UNIT, BoxFacts
from node.doctor.examine import OutsideLooks
from node.doctor.reach import How, VenueLook
from node.durations import show_duration

DAY_S = 86_400
ELSEWHERE = "not looked at: this machine is neither box; run it there too"


def render_looked(
    config: Config, seen: ClusterPeek, looks: OutsideLooks | None, box: BoxFacts | None
) -> str:
    """Return one line for each thing that was looked at, and for each that was not."""
    lines = [f"store {s.name}: {_store(s.info, s.server_version, s.error)}" for s in seen.stores]
    exchange = config.venue.exchange
    if looks is None:
        lines.append(f"{exchange} and Telegram: not looked at (--quick)")
    else:
        for label, look in looks.venues.items():
            of = f"{exchange} with the key of {label}" if label else exchange
            lines.append(f"{of}: {_venue(look)}")
        lines.append(f"Telegram: {_telegram(looks)}")
    lines.append(f"box: {ELSEWHERE}" if box is None else f"box {box.label}: {_box(box)}")
    return "\n".join(["looked at:", *(f"  {line}" for line in lines)])


def _store(info: Mapping[str, str], version: str, error: str | None) -> str:
    if error is not None:
        return "does not answer"
    up = info.get("uptime_in_seconds", "")
    if not up.isdigit():
        return version
    days = int(up) // DAY_S
    return f"{version}, up {f'{days} d' if days else show_duration(int(up))}"


def _venue(look: VenueLook) -> str:
    if look.key is None:
        return _unseen(look.how)
    apart_s = -look.key.venue_ahead_ms / 1000
    return f"the key signs; {_rights(look.key.rights)}; this machine's clock {apart_s:+.2f} s"


def _rights(rights: KeyRights) -> str:
    trade = {True: "it may trade", False: "it may not trade", None: "trading is not told"}
    withdraw = {True: "may withdraw", False: "may not withdraw", None: "withdrawing is not told"}
    return f"{trade[rights.can_trade]}, {withdraw[rights.can_withdraw]}"


def _telegram(looks: OutsideLooks) -> str:
    look = looks.telegram
    if look.how is How.SEEN:
        return f"@{look.bot} reaches {look.chat} (no message was sent)"
    return _unseen(look.how)


def _unseen(how: How) -> str:
    return "not asked" if how is How.SKIPPED else "no good answer"


def _box(box: BoxFacts) -> str:
    return ", ".join(_box_parts(box))


def _box_parts(box: BoxFacts) -> Iterator[str]:
    yield box.model or "a board that does not say its name"
    yield f"kernel {box.kernel}"
    unit = box.units.get(NODE_UNIT, {})
    if unit.get("LoadState") == "loaded":
        yield f"unit {unit.get('ActiveState', '?')}"
    resources = box.resources
    if resources is None:
        return
    if resources.disk_free_mb is not None:
        yield f"{resources.disk_free_mb:.0f} MB of disk free"
    if resources.board.memory_free_mb is not None:
        yield f"{resources.board.memory_free_mb:.0f} MB of memory left"
    if resources.temperature_c is not None:
        yield f"{resources.temperature_c:.0f} °C"
