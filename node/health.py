"""What this process knows about itself; written by the duties, read for eligibility and status."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from election.model import NEVER_S
from node.deadman import OutsideView
from node.eligibility import STARTING, EligibilityFacts
from node.latches import Latches
from node.resources import Resources
from node.role import Role
from node.watch import Member

NOT_ASKED = "not asked yet"


@dataclass(slots=True, kw_only=True)
class Health:
    """Facts of this process, each written by exactly one duty.

    `venue_error` is empty after a signed call that worked. `fatal` is never cleared.
    """

    role: Role = Role.STARTING
    role_since_wall_ms: int = 0
    is_ready: bool = False
    venue_error: str = NOT_ASKED
    venue_proven_s: float = NEVER_S  # monotonic instant before the last signed call that worked
    account: str | None = None
    clock_error_ms: float | None = None
    longest_gap_ms: int = 0
    unaccepted: tuple[str, ...] = ()  # symbols whose strategy waits for a person's word
    resources: Resources | None = None
    resource_reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()  # of this box, for people; they change nothing
    notes: tuple[str, ...] = ()  # for the doctor only
    clock_wait: str = ""  # why a node that has just started still waits for its clock
    backup_trouble: str = ""  # what is wrong with the backups that this box makes by itself
    journal_error: str = ""
    fence_error: str = ""
    crash_loop: str = ""  # why this node crashed too often to be trusted with the lease
    crash_latch_id: str = ""
    fatal: str = ""
    drill: Mapping[str, str] = field(default_factory=dict)
    outside: Mapping[str, OutsideView] = field(default_factory=dict)  # dead-man URLs, by name
    reasons: tuple[str, ...] = field(default=(STARTING,))

    def facts(
        self,
        latches: Latches,
        peers: Mapping[str, Member],
        *,
        peer_configs: Mapping[str, frozenset[str]],
        fresh_s: float,
        list_ids: frozenset[str],
        clock_error_ms_max: float,
        peer_reasons: tuple[str, ...] = (),
    ) -> EligibilityFacts:
        """Return what eligibility is judged from."""
        return EligibilityFacts(
            is_ready=self.is_ready and not self.clock_wait,
            is_paused=latches.is_paused,
            pause_reason=latches.pause_reason,
            venue_error=self.venue_error,
            account=self.account,
            expected_account=latches.account,
            clock_error_ms=self.clock_error_ms,
            clock_error_ms_max=clock_error_ms_max,
            list_ids=list_ids,
            peer_list_ids=tuple(
                (node_id, peer_configs[node_id])
                for node_id, member in sorted(peers.items())
                if member.age_s <= fresh_s and node_id in peer_configs
            ),
            peer_reasons=peer_reasons,
            resource_reasons=self.resource_reasons,
            journal_error=self.journal_error,
            fence_error=self.fence_error,
            crash_loop=self.crash_loop,
            fatal=self.fatal,
        )
