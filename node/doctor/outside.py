"""What each node says about its dead-man URLs and its own warnings, for the doctor. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from node.config_model import Config
from node.deadman import Watched
from node.durations import show_duration
from node.status_nodes import number_or_none, texts_of


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlSeen:
    """One dead-man URL as the node that knows it shows it; ages in seconds."""

    answered_age_s: float | None
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSeen:
    """What a living node says. `urls`: by what they stand for; those not set are absent."""

    node_id: str
    urls: Mapping[Watched, UrlSeen]
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def read_node(node_id: str, body: Mapping[str, object]) -> NodeSeen:
    """Return what a board entry says; what is not of the known shape is left out."""
    outside = body.get("outside")
    urls: dict[Watched, UrlSeen] = {}
    for watched in Watched:
        seen = outside.get(watched.value) if isinstance(outside, dict) else None
        if isinstance(seen, dict):
            urls[watched] = UrlSeen(
                answered_age_s=number_or_none(seen.get("answered_age_s")),
                error=str(seen.get("error") or ""),
            )
    return NodeSeen(
        node_id=node_id,
        urls=urls,
        warnings=texts_of(body.get("warnings")),
        notes=texts_of(body.get("notes")),
    )


def render_outside(
    config: Config, nodes: tuple[NodeSeen, ...], *, holder: str | None, known_here: Iterable[str]
) -> str:
    """Return which dead-man URLs are set and when each last answered.

    Args:
        config: for the labels.
        nodes: what the living nodes say.
        holder: who leads.
        known_here: names of the URLs in this box's own secrets, for when no node says more.
    """
    lines = ["outside alarm (dead-man URLs):"]
    if not nodes:
        here = ", ".join(sorted(known_here)) or "none"
        return "\n".join([*lines, f"  no living node is seen; set in this box's secrets: {here}"])
    for node in nodes:
        label = config.label_of(node.node_id)
        for watched in Watched:
            seen = node.urls.get(watched)
            is_waiting = watched is Watched.CLUSTER and node.node_id != holder
            lines.append(f"  {label}, {watched}: {_in_words(seen, is_waiting=is_waiting)}")
    return "\n".join(lines)


def _in_words(seen: UrlSeen | None, *, is_waiting: bool) -> str:
    if seen is None:
        return "not set"
    if is_waiting:
        return "set; pinged when this node leads"
    if seen.answered_age_s is None:
        return f"no answer yet{f' ({seen.error})' if seen.error else ''}"
    since = f"last answer {show_duration(round(seen.answered_age_s))} ago"
    return f"{since}; now: {seen.error}" if seen.error else since
