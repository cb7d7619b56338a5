"""Errors of alerts/: few, because a delivery's outcome is a value (`ports.Delivery`).

    AlertsError
    └── UnreadableRecord    set the file aside, keep what could be read

Nothing here ever reaches trading: `AlertSender.put` raises none of them.
"""


class AlertsError(Exception):
    """Anything this package raises."""


class UnreadableRecord(AlertsError):  # noqa: N818 - named by what the caller meets, as the house does
    """A line of the outbox file is not a record: cut, damaged, or of a newer version."""
