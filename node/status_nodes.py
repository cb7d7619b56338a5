"""The nodes as the member boards of the stores show them. Pure; see status.py."""

from election.member_record import MemberReading
from node.config_model import Config
from node.role import PEOPLES_WORDS, Role, has_lease
from node.status_model import NodeView

GONE = "gone"
SILENT_HOLDER = "silent"
PAUSED_REASON = "the cluster is paused"  # how eligibility.py begins that reason
MEMBER_FRESH_S = 5.0  # five of the board's one-second beats: one slow beat is not a lost node


def role_of(member: MemberReading) -> Role:
    """Return what the node says that it does."""
    try:
        return Role(str(member.body.get("role", "")))
    except ValueError:
        return Role.HALTED  # a role of another release: it is not known to trade


def node_order(node_id: str, config: Config) -> tuple[int, int, str]:
    """Sort key: the preferred node first, then by index, strangers last."""
    node = config.nodes.get(node_id)
    is_preferred = node_id == config.cluster.preferred_node
    return (0 if is_preferred else 1, node.index if node is not None else 99, node_id)


def node_view(
    node_id: str,
    member: MemberReading | None,
    *,
    holder: str | None,
    is_known: bool,
    is_silent: bool,
    config: Config,
) -> NodeView:
    """Return one row: what the node says of itself, corrected by what the lease shows."""
    label = config.label_of(node_id)
    is_silent_holder = is_silent and holder == node_id
    if member is None:
        role = SILENT_HOLDER if is_silent_holder else GONE
        return NodeView(node_id=node_id, label=label, role=role if is_known else "")
    body = member.body
    is_fresh = member.age_s <= MEMBER_FRESH_S
    role = PEOPLES_WORDS[role_of(member)] if is_fresh else GONE
    if is_silent_holder:
        role = SILENT_HOLDER if is_fresh else GONE
    elif is_fresh and is_known and holder != node_id and has_lease(role_of(member)):
        role = PEOPLES_WORDS[Role.FENCED]  # it still says leader, the stores say otherwise
    if not is_fresh:  # what it said of itself is over
        return NodeView(node_id=node_id, label=label, role=role, seen_s=member.age_s)
    reasons = texts_of(body.get("reasons"))
    # a pause stops both nodes, so it says nothing about which of them is a spare
    hindrances = [reason for reason in reasons if not reason.startswith(PAUSED_REASON)]
    is_standby = role_of(member) is Role.STANDBY
    return NodeView(
        node_id=node_id,
        label=label,
        role=role,
        is_spare=is_standby and not hindrances and holder != node_id,
        seen_s=member.age_s,
        reasons=reasons,
        warnings=texts_of(body.get("warnings")),
        is_venue_ok=None if body.get("venue_ok") is None else bool(body["venue_ok"]),
        venue_error=str(body.get("venue_error") or ""),
        clock_error_ms=number_or_none(body.get("clock_error_ms")),
        temperature_c=number_or_none(body.get("temperature_c")),
        memory_mb=number_or_none(body.get("memory_mb")),
        disk_free_mb=number_or_none(body.get("disk_free_mb")),
        cpu_percent=number_or_none(body.get("cpu_percent")),
        uptime_s=number_or_none(body.get("uptime_s")),
        version=str(body.get("version", "")),
    )


def texts_of(value: object) -> tuple[str, ...]:
    """Return the texts of a list in a board entry; none for anything else."""
    return tuple(str(text) for text in value) if isinstance(value, list) else ()


def number_or_none(value: object) -> float | None:
    """Return a number of a board entry; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value)
