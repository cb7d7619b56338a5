"""Messages between a box and a store, or the venue: lost, slow, reordered, doubled, cut one way.

Rules of this file: what happens to a message is drawn when it leaves; a request acts at its own
arrival, whether its sender still lives or waits. A client gives up at its deadline and drops the
connection; an answer that comes later is not heard.
"""

from dataclasses import dataclass

from node.sim.world import World


@dataclass(slots=True)
class Weather:
    """How bad the network is now; probabilities are per message and direction."""

    lost: float = 0.0
    slow: float = 0.0
    slow_max_s: float = 3.0
    doubled: float = 0.0


class Wire:
    """Both directions between two places."""

    def __init__(self, world: World, weather: Weather, name: str) -> None:
        """Whole, and as bad as the weather."""
        self._world, self._weather = world, weather
        self.name = name
        self.cut_there_until_s = 0.0
        self.cut_back_until_s = 0.0
        self.slow_until_s = 0.0

    def delays(self) -> tuple[float | None, float | None]:
        """Return how long request and answer take; None: lost."""
        world, weather = self._world, self._weather
        random = world.rng.random
        dice = random()
        now = world.now
        if (
            dice >= 2 * (weather.lost + weather.slow)
            and now >= self.cut_there_until_s
            and now >= self.cut_back_until_s
            and now >= self.slow_until_s
        ):
            return 0.0004 + 0.004 * random(), 0.0004 + 0.004 * random()
        there = self._one(self.cut_there_until_s)
        back = self._one(self.cut_back_until_s)
        return there, back

    def _one(self, cut_until_s: float) -> float | None:
        world, weather = self._world, self._weather
        if world.now < cut_until_s:
            return None
        rng = world.rng
        dice = rng.random() * (weather.lost + weather.slow) * 2
        if dice < weather.lost:
            world.count("message lost")
            return None
        if dice < weather.lost + weather.slow or world.now < self.slow_until_s:
            world.count("message slow")
            return rng.choice((rng.uniform(0.05, 0.8), rng.uniform(0.3, weather.slow_max_s)))
        return rng.uniform(0.0004, 0.0044)

    def is_doubled(self) -> bool:
        """Tell whether a request that arrives does so twice."""
        if self._weather.doubled and self._world.rng.random() < self._weather.doubled:
            self._world.count("message doubled")
            return True
        return False

    def cut(self, until_s: float, direction: int) -> None:
        """Cut it: direction 0 there, 1 back, 2 both."""
        if direction != 1:
            self.cut_there_until_s = max(self.cut_there_until_s, until_s)
        if direction != 0:
            self.cut_back_until_s = max(self.cut_back_until_s, until_s)
