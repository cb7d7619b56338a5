"""What goes wrong around both nodes alike: at the venue, and at the messenger."""

from node.sim.channel import Phone
from node.sim.market import SimExchange
from node.sim.world import World


def long_s(world: World) -> float:
    """Return how long something lasts: often a moment, sometimes longer than a lease."""
    rng = world.rng
    return rng.choice((rng.uniform(0.1, 2.5), rng.uniform(2.0, 18.0)))


class Surroundings:
    """Faults that no node has for itself."""

    def __init__(self, world: World, exchange: SimExchange, phone: Phone) -> None:
        """Bind what can break."""
        self._world, self._exchange, self._phone = world, exchange, phone

    def maintenance(self) -> None:
        """The venue answers nobody."""
        self._exchange.maintenance_until_s = self._world.now + long_s(self._world)
        self._world.note("weather", "venue maintenance")

    def rate_limit(self) -> None:
        """The venue asks for quiet."""
        self._exchange.limited_until_s = self._world.now + long_s(self._world)
        self._world.note("weather", "venue rate limit")

    def lag(self) -> None:
        """The venue shows orders and fills a moment late."""
        self._exchange.lagging_until_s = self._world.now + 3 * long_s(self._world)
        self._world.note("weather", "venue lags")

    def phone_away(self) -> None:
        """The messenger is away."""
        self._phone.away_until_s = self._world.now + 3 * long_s(self._world)
        self._world.note("weather", "phone away")

    def phone_limited(self) -> None:
        """The messenger asks for quiet."""
        self._phone.limited_until_s = self._world.now + long_s(self._world)
        self._world.note("weather", "phone limited")
