"""Steps of a plan: immutable, printable, specific enough that the executor has no choices left."""

from dataclasses import dataclass

from exchange.model import ClientOrderId, OrderIntent
from exchange.risk import RiskFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Send one order. `facts` is what it was judged against, worst case, in this plan."""

    intent: OrderIntent
    facts: RiskFacts

    def render(self) -> str:
        """Return the step as one line."""
        i = self.intent
        price = "market" if i.price is None else f"{i.price:f}"
        return (
            f"place   {i.symbol} {i.side.value} {i.amount:f} @ {price} "
            f"{i.time_in_force.value} [{i.tag}] {i.client_order_id}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """Cancel one order of ours."""

    symbol: str
    client_order_id: ClientOrderId
    tag: str
    reason: str

    def render(self) -> str:
        """Return the step as one line."""
        return f"cancel  {self.symbol} [{self.tag}] {self.client_order_id}: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopt:
    """Keep working an order that an earlier grant placed; the journal notes it under `tag`."""

    symbol: str
    client_order_id: ClientOrderId
    tag: str

    def render(self) -> str:
        """Return the step as one line."""
        return f"adopt   {self.symbol} [{self.tag}] {self.client_order_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolve:
    """Look again at an order that is not accounted for."""

    symbol: str
    client_order_id: ClientOrderId
    reason: str

    def render(self) -> str:
        """Return the step as one line."""
        return f"resolve {self.symbol} {self.client_order_id}: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """Leave a working order as it is."""

    symbol: str
    client_order_id: ClientOrderId
    tag: str
    reason: str = ""

    def render(self) -> str:
        """Return the step as one line."""
        why = f": {self.reason}" if self.reason else ""
        return f"keep    {self.symbol} [{self.tag}] {self.client_order_id}{why}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Skip:
    """Do not send something that is wanted, for a reason."""

    symbol: str
    tag: str
    reason: str

    def render(self) -> str:
        """Return the step as one line."""
        return f"skip    {self.symbol} [{self.tag}]: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Add no new risk in a symbol (`*`: anywhere) until a later pass is clear."""

    symbol: str
    reason: str

    def render(self) -> str:
        """Return the step as one line."""
        return f"block   {self.symbol}: {self.reason}"


Step = Place | Cancel | Adopt | Resolve | Keep | Skip | Block


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one pass will do, under one epoch."""

    epoch: int
    steps: tuple[Step, ...] = ()

    @property
    def writes(self) -> tuple[Place | Cancel | Adopt, ...]:
        """The steps that change something."""
        return tuple(s for s in self.steps if isinstance(s, Place | Cancel | Adopt))

    def render(self) -> str:
        """Return the plan for people, one line a step."""
        if not self.steps:
            return f"epoch {self.epoch}: nothing to do"
        lines = "\n".join(f"{n:3d}. {step.render()}" for n, step in enumerate(self.steps, 1))
        return f"epoch {self.epoch}: {len(self.writes)} of {len(self.steps)} steps write\n{lines}"
