"""All stores of a cluster asked at once: what comes back, and the port that asks.

Pure. redis_fleet.py asks real servers, node/sim/fleet.py simulated ones.
"""

from collections.abc import Callable, Mapping
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

from election.model import StoreName
from election.quorum import Quorum

T = TypeVar("T")
P_co = TypeVar("P_co", covariant=True)

# How long other stores are awaited once a majority has answered a question that is not urgent: a
# witness behind a slow link still answers within it, and a box without power costs no more.
LATE_STORE_GRACE_S: Final = 0.25


class FleetAnswers(NamedTuple, Generic[T]):
    """What each store answered, and why the others did not; by store name, in stores' order."""

    answers: Mapping[StoreName, T]
    problems: Mapping[StoreName, str]


class Fleet(Protocol[P_co]):
    """All stores of a cluster, asked at once; `ask` blocks for at most its time limit."""

    @property
    def names(self) -> tuple[StoreName, ...]:
        """Names of all stores, in the configuration's order."""
        ...

    @property
    def quorum(self) -> Quorum:
        """Which stores decide."""
        ...

    def ask(
        self, call: Callable[[P_co], T], *, enough: Quorum | None = None, grace_s: float = 0.0
    ) -> FleetAnswers[T]:
        """Let each store answer; `call` may raise StoreUnreachable.

        With `enough`, the others are awaited for `grace_s` only, once such have answered.
        """
        ...


def tell(problems: Mapping[StoreName, str]) -> str:
    """Return all problems as one line; each names its store."""
    return "; ".join(
        text if name in text else f"store {name}: {text}" for name, text in problems.items()
    )
