"""Who sets a box's clock: if nothing does, systemd's own service is switched on. Pure.

Rules of this file: a service that is there is left alone, whichever it is, also one that was
stopped. Nothing waits for the time to be set, and nothing is refused without it
(docs/adr/0055-time-is-set-and-nobody-waits-for-it.md).
"""

from deploy.facts import BoxFacts
from deploy.wants import Clock, Want


def clock_wants(facts: BoxFacts) -> tuple[Want, ...]:
    """Return what makes something set this box's clock, now and after each boot."""
    if facts.time_service or facts.is_time_service_enabled or not facts.can_set_ntp:
        return ()
    return (Clock(),)
