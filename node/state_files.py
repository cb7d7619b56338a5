"""Names of the files in a node's state directory that more than one module speaks of."""

JOURNAL_FILE = "journal"
CONTROL_FILE = "control"
RESTORED_CONTROL_FILE = "control.restored"
"""Control records out of a backup: they latch, but prove nothing (ADR 0051)."""
EPOCH_FILE = "epoch.json"
PROMISE_FILE = "promise.json"
OUTBOX_FILE = "outbox.jsonl"
