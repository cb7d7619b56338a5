"""Puts the doctor's looks together: stores, clocks, venue, Telegram and this box; then judges.

A shell: it calls the edges (looking.py, box_reader.py) and hands what they saw to the pure checks.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain

from election.member_record import MemberReading
from election.peek import ClusterPeek, merged_control, merged_members
from node.config_model import Config
from node.doctor.box_checks import check_box
from node.doctor.box_facts import BoxFacts
from node.doctor.box_reader import read_box
from node.doctor.findings import DoctorFacts, Finding, list_findings
from node.doctor.looking import look_at_telegram, look_at_venue
from node.doctor.outside import read_node
from node.doctor.reach import (
    How,
    TelegramLook,
    VenueLook,
    check_accounts,
    check_clocks,
    check_server,
    check_telegram,
    check_venue,
    read_clock,
)
from node.drill.history import last_passed_ms
from node.errors import SecretsRefused
from node.secrets import Secrets, has_secrets, load_secrets
from node.status import build_status
from node.status_nodes import MEMBER_FRESH_S, number_or_none
from node.this_node import guess_node_id

NOT_LOOKED = VenueLook(how=How.SKIPPED)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutsideLooks:
    """What was seen of the venue, with the key of each box that lies here, and of Telegram.

    `alike`: the boxes that use one and the same key.
    """

    venues: Mapping[str, VenueLook]
    alike: tuple[str, ...]
    telegram: TelegramLook


def look_outside(config: Config, secrets: Secrets, node: str | None) -> OutsideLooks:
    """Look at the venue and at Telegram; takes seconds.

    Args:
        config: where they are.
        secrets: of this box, or of any; for Telegram.
        node: look with this node's key only; None: with each whose secrets lie here.
    """
    found: dict[str, Secrets | str] = {} if node is not None else _all_secrets(config)
    if len(found) < 2:  # noqa: PLR2004  (one box: no need to name it)
        label = config.label_of(node) if node is not None else ""
        found = {label: secrets}
    usable = {label: s for label, s in found.items() if isinstance(s, Secrets)}
    keys = {label: s.venue.api_key for label, s in usable.items() if s.venue.api_key is not None}
    return OutsideLooks(
        venues={
            label: VenueLook(how=How.UNUSABLE, reason=each)
            if isinstance(each, str)
            else look_at_venue(config, each)
            for label, each in found.items()
        },
        alike=tuple(label for label, key in keys.items() if list(keys.values()).count(key) > 1),
        telegram=look_at_telegram(config, secrets),
    )


def _all_secrets(config: Config) -> dict[str, Secrets | str]:
    """Return the secrets of every node that has some here, or why they cannot be used."""
    found: dict[str, Secrets | str] = {}
    for node_id in config.nodes:
        label = config.label_of(node_id)
        try:
            if has_secrets(config, node_id, os.environ):
                found[label] = load_secrets(config, node_id, os.environ)
        except SecretsRefused as error:
            found[label] = str(error).partition("\n")[0]
    return found


def look_at_box(config: Config) -> BoxFacts | None:
    """Look at this machine, if it is one of the nodes' boxes."""
    node_id = guess_node_id(config, os.environ)
    if node_id is None:
        return None
    return read_box(node_id, config.label_of(node_id), config.node_state_dir(node_id))


def facts_of(seen: ClusterPeek, config: Config, *, now_wall_ms: int) -> DoctorFacts:
    """Return what one look at the stores says of the cluster; `now_wall_ms` is Unix time."""
    return DoctorFacts(
        config=config,
        status=build_status(seen, config, now_wall_ms=now_wall_ms),
        longest_gap_ms=longest_gaps_ms(seen),
        last_drill_ms=last_passed_ms(merged_control(seen)),
        nodes=tuple(read_node(node_id, m.body) for node_id, m in sorted(_living(seen).items())),
    )


def longest_gaps_ms(seen: ClusterPeek) -> dict[str, float]:
    """Return the longest pause between heartbeats that each living node tells of itself."""
    said = {node_id: m.body.get("longest_gap_ms") for node_id, m in _living(seen).items()}
    gaps_ms = {node_id: number_or_none(value) for node_id, value in said.items()}
    return {node_id: gap_ms for node_id, gap_ms in gaps_ms.items() if gap_ms is not None}


def _living(seen: ClusterPeek) -> dict[str, MemberReading]:
    members = merged_members(seen)
    return {str(n): m for n, m in members.items() if m.age_s <= MEMBER_FRESH_S}


def list_all(
    facts: DoctorFacts, seen: ClusterPeek, looks: OutsideLooks | None, box: BoxFacts | None
) -> tuple[Finding, ...]:
    """Return all findings, worst first.

    Args:
        facts: what the stores say of the cluster.
        seen: the look at the stores that they came from.
        looks: at the venue and Telegram, None when they were left out.
        box: this machine, None when it is no node's box.
    """
    config = facts.config
    venues = {} if looks is None else looks.venues
    first_seen = next((v for v in venues.values() if v.key is not None), NOT_LOOKED)
    now_wall_ms = facts.status.taken_wall_ms
    clocks = [
        read_clock(config.label_of(node_id), m.body, age_s=m.age_s, now_wall_ms=now_wall_ms)
        for node_id, m in _living(seen).items()
    ]
    found = chain(
        list_findings(facts),
        chain.from_iterable(check_server(str(s.name), s.info) for s in seen.answered),
        check_clocks(clocks, first_seen),
        chain.from_iterable(check_venue(v, config, label) for label, v in venues.items()),
        () if looks is None else check_accounts(looks.venues, looks.alike),
        () if looks is None else check_telegram(looks.telegram),
        () if box is None else check_box(box, config, told=_told(facts, box.node_id)),
    )
    return tuple(sorted(found, key=lambda finding: -finding.level))


def _told(facts: DoctorFacts, node_id: str) -> tuple[str, ...]:
    return next((n.warnings for n in facts.nodes if n.node_id == node_id), ())
