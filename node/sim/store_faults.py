"""What befalls lease stores: they restart, lose or mislay data, freeze, go down."""

from functools import partial

from node.sim.stores import StoreData
from node.sim.surroundings import long_s
from node.sim.targets import Targets

SNAPSHOTS_KEPT = 12


class StoreFaults:
    """Faults of stores, and the old data that one may come back with."""

    def __init__(self, targets: Targets) -> None:
        """Bind what can be struck."""
        self._targets, self._world = targets, targets.world
        self._snapshots: dict[str, list[StoreData]] = {store.name: [] for store in targets.stores}

    def take_snapshots(self) -> None:
        """Keep what the stores hold now, as a backup would."""
        for store in self._targets.stores:
            kept = self._snapshots[store.name]
            kept.append(store.data())
            del kept[:-SNAPSHOTS_KEPT]

    def restart_store(self) -> None:
        """A store begins another life, with or without its data."""
        store, keep = self._targets.store(), self._world.rng.random() < 0.5  # noqa: PLR2004
        self._targets.note("store restarts", store=store.name, keeps_data=keep)
        store.restart(keep=keep)

    def roll_back(self) -> None:
        """A store comes back with data of a while ago."""
        store = self._targets.store()
        if kept := self._snapshots[store.name]:
            self._targets.note("store rolled back", store=store.name)
            store.roll_back(self._world.rng.choice(kept))

    def flush(self) -> None:
        """FLUSHALL, perhaps twice."""
        store = self._targets.store()
        self._targets.note("FLUSHALL", store=store.name)
        store.flush()
        if self._world.rng.random() < 0.3:  # noqa: PLR2004
            self._world.after(self._world.rng.uniform(0.1, 5.0), store.flush)

    def lose_all_stores(self) -> None:
        """Every store begins another life, empty, within a moment."""
        self._targets.note("all stores restart empty")
        for store in self._targets.stores:
            self._world.after(self._world.rng.uniform(0, 0.5), partial(store.restart, keep=False))

    def freeze(self) -> None:
        """A store takes requests in and answers later (SIGSTOP, swapping)."""
        store = self._targets.store()
        store.frozen_until_s = self._targets.until_s()
        self._targets.note("store frozen", store=store.name)

    def down(self) -> None:
        """A store refuses connections for a while."""
        store = self._targets.store()
        self._targets.note("store down", store=store.name)
        store.set_down(is_down=True)
        self._world.after(long_s(self._world), partial(store.set_down, is_down=False))
