"""What mends an anomaly of the lease, in words for a person. Pure: a table."""

from collections.abc import Mapping
from types import MappingProxyType

FIXES: Mapping[str, str] = MappingProxyType(
    {
        "other_config": "the [[stores]] list of this node differs from the one that wrote the "
        "record: make cluster.toml equal on both boxes and restart this node; if the list was "
        "changed on purpose, stop both nodes first",
        "foreign_cluster": "another cluster's record lies under this cluster's key: give each "
        "cluster stores or a name of its own; if nobody uses that record, delete the key",
        "unreadable": "something else wrote to this cluster's key: find out what, then delete the "
        "key; the nodes write it again",
        "not_master": "the store follows another server: run it alone (replicaof no one)",
        "epoch_file": "the epoch in the state directory cannot be relied on: see that its disk can "
        "be written and has room",
    }
)

MEANINGS: Mapping[str, str] = MappingProxyType(
    {
        "epoch_file": "a damaged one counts as absent: the stores, the other node and the orders "
        "at the venue fill the gap; while it cannot be written, this node takes no lease",
    }
)
