"""What goes wrong around both nodes alike: at the venue, and at the messenger."""

from math import log1p

from node.sim.channel import Phone
from node.sim.market import MOVE_S, SimExchange
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

    def price_falls(self) -> None:
        """The price falls by some percent within a minute or so, and comes back as slowly."""
        rng, exchange, world = self._world.rng, self._exchange, self._world
        seconds, share = rng.uniform(30, 90), rng.uniform(0.02, 0.05)
        world.note("weather", "the price falls", percent=round(100 * share, 1))
        exchange.drift = log1p(-share) / (seconds / MOVE_S)

        def turn() -> None:
            exchange.drift = -exchange.drift
            world.after(seconds, end)

        def end() -> None:
            exchange.drift = 0.0

        world.after(seconds, turn)

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
