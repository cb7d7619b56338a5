"""Where a store is. Imported by whoever reads the configuration, so it costs nothing to import."""

from dataclasses import dataclass, field

from election.cut import StoreCut
from election.model import StoreName


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreAddress:
    """Where a store is and how to log in. The password never shows in repr.

    Prefer an IP address as `host`: resolving a name costs time of every reconnect, and whoever
    serves names may be the box that just died.
    """

    name: StoreName
    host: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    db: int = 0
    # While the pair grows from this one store to three: the config id of the old list, under which
    # the record here stays meanwhile. Such a store is needed in every decision (quorum.py).
    old_list: str = ""
    # Set in a running node only: what a drill may cut off.
    cut: StoreCut | None = field(default=None, repr=False, compare=False)

    @property
    def text(self) -> str:
        """Return the address for people: name and host:port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"store {self.name} ({host}:{self.port})"
