"""Carrying a command about the gate out on the permit."""

from election.errors import FenceUnavailable
from election.permit import LeasePermit
from election.signals import ExtendGate, GateOpened, GateRefused, OpenGate, Stimulus


def move_gate(permit: LeasePermit, command: OpenGate | ExtendGate) -> Stimulus | None:
    """Open or extend the gate; return what the machine must know of it, if anything."""
    try:
        if isinstance(command, OpenGate):
            if permit.open(epoch=command.epoch, sent=command.sent):
                return GateOpened(epoch=command.epoch)
        elif permit.extend(epoch=command.epoch, sent=command.sent):
            return None
    except FenceUnavailable as error:
        return GateRefused(epoch=command.epoch, error=str(error), is_fence_unavailable=True)
    return GateRefused(
        epoch=command.epoch, error="the gate's time was over", is_fence_unavailable=False
    )
