"""The change of the list on a pair of values: in which order, and wherever it breaks off."""

import json
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from deploy import list_change
from deploy.box import Box, NodeState
from deploy.desired import Target
from deploy.errors import BoxUnreachable, NodeUnhealthy, StepFailed
from deploy.list_change import ListChange, NodePlan
from deploy.switching import Patience
from node.cli.store_move import UNDONE

OLD, JOINT, NEW = "old", "joint", "new"
JETSON, PI = "jetson", "raspberrypi"


class BrokenOff(Exception):  # noqa: N818  (a lost laptop is no error of ours)
    """The laptop is gone."""


@dataclass
class Home:
    """A pair whose nodes use one of the three lists; breaks off after `lives` steps."""

    uses: dict[str, str] = field(default_factory=lambda: {JETSON: OLD, PI: OLD})
    holder: str | None = JETSON
    is_paused: bool = False
    is_told: bool = False
    is_moved: bool = False
    is_release_old: bool = False
    written: int = 0
    previous: set[str] = field(default_factory=lambda: {JETSON, PI})
    lives: int = 10**9
    steps: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)  # of the new stores
    warming: int = 0  # looks until a spare that has just started is one
    now_s: float = 0.0

    def step(self, what: str) -> None:
        """Do something, unless the laptop is gone."""
        if self.lives <= 0:
            raise BrokenOff
        self.lives -= 1
        self.steps.append(what)

    def switch(self, box: Box, target: Target, _: Patience, *, may_stop_trading: bool) -> bool:
        """Give a node a list, as deploy.switching does, and judge the pair."""
        assert not may_stop_trading
        name, wished = box.place.name, cast("str", target)
        if self.uses[name] == wished:
            return False
        self.step(f"{name} {wished}")
        if self.holder == name and not self.is_paused:
            assert not self.warming, "there is no fit spare: trading would stop"
            self.holder = JETSON if name == PI else PI
        if wished == NEW:
            assert self.is_told, "the new list is used before it counts"
        self.uses[name] = wished
        self.warming = 3
        assert set(self.uses.values()) != {OLD, NEW}, "two traders"
        return True

    def settle(self, name: str) -> tuple[dict[str, Any] | str, int]:
        """Say or move, as `nodectl stores settle` does on a box."""
        if self.uses[name] == OLD:
            return "this cluster.toml says nothing of a pair that grows", 1
        if OLD in self.uses.values() and not self.is_told:
            return "refused: one uses the old list", 1
        if not self.is_told and (self.holder is None or self.is_paused):
            return "nobody leads with the joint list yet", 1
        self.step("settle")
        self.is_told = True
        if JOINT in self.uses.values() or self.problems:
            return {"next_step": "take it out", "problems": self.problems}, UNDONE
        self.is_moved = True
        return {"next_step": ""}, 0

    def shown(self, name: str) -> dict[str, Any]:
        """Return what `nodectl stores show --json` says on a box."""
        is_done = self.uses[name] == NEW and self.is_moved
        return {
            "config_id": OLD if self.uses[name] == OLD else NEW,
            "old_list_id": OLD if self.uses[name] == JOINT else "",
            "counts": NEW if self.is_told else None,
            "next_step": "" if is_done or self.uses[name] == OLD else "settle",
            "stores": [{"name": "witness", "address": "192.168.1.13:6379"}],
        }

    def state(self) -> NodeState:
        """Return how the pair is; time passes by looking."""
        self.warming = max(0, self.warming - 1)
        spares = [n for n in (JETSON, PI) if n != self.holder and not self.warming]
        nothing = dict.fromkeys(
            ("fingerprint", "release", "settings", "previous_release", "previous_settings"), ""
        )
        status = {"holder": self.holder, "spares": spares, "is_paused": self.is_paused,
                  "headline": "trading"}  # fmt: skip
        return NodeState(is_active=True, restarts=0, status=status, **nothing)

    def write(self) -> None:
        """Keep the new list on the laptop."""
        assert self.is_told
        self.step("write")
        self.written += 1

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now_s += seconds

    @property
    def patience(self) -> Patience:
        """As long as a deployment waits."""
        return Patience(now_s=lambda: self.now_s, sleep=self.sleep)

    def plans(self) -> list[NodePlan]:
        """Return both nodes' boxes with what they get."""
        return [
            NodePlan(
                box=cast("Box", SomeBox(self, name)),
                joint=cast("Target", JOINT),
                new=cast("Target", NEW),
            )
            for name in (JETSON, PI)
        ]

    def change(self) -> ListChange:
        """Return the change of this pair."""
        return ListChange(config_id=NEW, say=self.steps.append, patience=self.patience)


@dataclass
class SomeBox:
    """One box of the home."""

    home: Home
    name: str

    @property
    def place(self) -> SimpleNamespace:
        """Where it is."""
        return SimpleNamespace(name=self.name)

    @property
    def shell(self) -> "SomeBox":
        """It is its own way there."""
        return self

    def as_root(self, script: str) -> str:
        """Answer `nodectl`."""
        if "settle --help" in script:
            return "no" if self.home.is_release_old else "Usage"
        if "stores settle" in script:
            said, code = self.home.settle(self.name)
            return f"{said if isinstance(said, str) else json.dumps(said)}\ncode={code}\n"
        return json.dumps(self.home.shown(self.name))

    def node_state(self) -> NodeState:
        """Return how the pair is."""
        return self.home.state()

    def apply(self, wants: object) -> None:
        """Forget what could be gone back to."""
        self.home.step(f"{self.name} forgets")
        self.home.previous.discard(self.name)


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Home:
    """A pair that trades by one store."""
    home = Home()
    monkeypatch.setattr(list_change, "switch", home.switch)
    return home


def boxes_of(home: Home) -> list[Box]:
    return [plan.box for plan in home.plans()]


def test_spare_first_twice_and_the_leader_is_the_same_at_the_end(home: Home) -> None:
    """The pair hands over twice; the laptop's file changes when the new list counts."""
    change = home.change()
    assert change.is_missing(boxes_of(home))
    change.refuse_unfit(boxes_of(home))
    change.run(home.plans(), write=home.write)
    done = [s for s in home.steps if s.split()[0] in {JETSON, PI, "settle", "write"}]
    assert [s for s in done if ":" not in s] == [
        f"{PI} {JOINT}",
        f"{JETSON} {JOINT}",
        "settle",
        "write",
        f"{JETSON} {NEW}",
        f"{PI} {NEW}",
        f"{JETSON} forgets",
        f"{PI} forgets",
        "settle",
    ]
    assert (home.holder, home.is_moved, home.previous) == (JETSON, True, set())
    assert home.steps[-1] == "three stores; jetson leads (trading), spare: raspberrypi"
    assert not change.is_missing(boxes_of(home))


@pytest.mark.parametrize("lives", range(10))
@pytest.mark.parametrize("is_failing_over", [False, True])
def test_whatever_broke_off_goes_on(home: Home, lives: int, *, is_failing_over: bool) -> None:
    """At no step two traders, and the same command finishes it, also after a failover."""
    home.lives = lives
    try:
        home.change().run(home.plans(), write=home.write)
    except BrokenOff:
        assert "note: the change of the list is not finished" in home.steps
    home.lives = 10**9
    if is_failing_over:
        home.holder = JETSON if home.holder == PI else PI
    change = home.change()
    if change.is_missing(boxes_of(home)):
        change.refuse_unfit(boxes_of(home))
        change.run(home.plans(), write=home.write)
    assert set(home.uses.values()) == {NEW}
    assert home.is_moved
    assert home.written >= 1
    assert home.previous == set()


def test_a_paused_pair_is_left_alone(home: Home) -> None:
    """S6: a person lifts it. Without a leader of the joint list the new stores know no lease."""
    home.is_paused, home.holder = True, None
    with pytest.raises(StepFailed, match="nodectl resume"):
        home.change().refuse_unfit(boxes_of(home))
    with pytest.raises(StepFailed, match="nobody leads with the joint list"):
        home.change().run(home.plans(), write=home.write)
    assert (home.is_paused, home.is_told) == (True, False)


def test_a_pair_that_is_paused_once_the_new_list_counts_is_finished(home: Home) -> None:
    """What is left needs no leader, and the pause stays."""
    home.uses, home.is_told, home.is_paused = dict.fromkeys((JETSON, PI), JOINT), True, True
    home.change().refuse_unfit(boxes_of(home))
    home.change().run(home.plans(), write=home.write)
    assert (home.is_paused, set(home.uses.values())) == (True, {NEW})
    assert home.steps[-1].startswith("three stores; PAUSED (nodectl resume)")


def test_an_unfit_pair_is_left_alone(home: Home) -> None:
    """Nobody leads, or there is no spare; an older release does not know the joint list."""
    home.holder = None
    with pytest.raises(StepFailed, match="the pair is not well"):
        home.change().refuse_unfit(boxes_of(home))
    home.holder, home.warming = JETSON, 9
    with pytest.raises(StepFailed, match="the pair is not well"):
        home.change().refuse_unfit(boxes_of(home))
    home.uses[PI] = JOINT  # it has begun: it goes on whatever the pair is like
    home.change().refuse_unfit(boxes_of(home))
    home.is_release_old = True
    with pytest.raises(StepFailed, match="make upgrade"):
        home.change().refuse_unfit(boxes_of(home))


@pytest.mark.parametrize(
    "broken", [BoxUnreachable("jetson: gone"), NodeUnhealthy("jetson: unwell"), KeyboardInterrupt()]
)
def test_whoever_breaks_it_off_is_told_that_it_goes_on(
    home: Home, monkeypatch: pytest.MonkeyPatch, broken: BaseException
) -> None:
    """Ctrl-C or a lost box in the middle leaves a pair that trades, in no words of its own."""

    def breaks_off(*_: object, **__: object) -> bool:
        raise broken

    monkeypatch.setattr(list_change, "switch", breaks_off)
    with pytest.raises(type(broken)) as raised:
        home.change().run(home.plans(), write=home.write)
    assert home.steps[-1] == "note: the change of the list is not finished"
    is_ours = not isinstance(broken, KeyboardInterrupt)
    assert ("same command again" in str(raised.value)) is is_ours


def test_a_settling_that_never_comes_is_said(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node that does not show its list in time: with what the box said."""
    monkeypatch.setattr(Home, "settle", lambda *_: ("jetson does not show it", 1))
    with pytest.raises(StepFailed, match="jetson does not show it"):
        home.change().run(home.plans(), write=home.write)
    assert NEW not in home.uses.values()


def test_what_counts_is_said_again_before_the_new_list_is_used(home: Home) -> None:
    """It was said and then broke off: whether both disks have it is not known (ADR 0016)."""
    home.uses, home.is_told, home.holder = {JETSON: OLD, PI: JOINT}, True, PI
    home.change().run(home.plans(), write=home.write)
    done = [step for step in home.steps if step in {"settle", f"{JETSON} {NEW}", f"{PI} {NEW}"}]
    assert done == ["settle", f"{JETSON} {NEW}", f"{PI} {NEW}", "settle"]


def test_without_a_new_store_the_joint_list_stays(home: Home) -> None:
    """A node of the new list would need it; the laptop knows by then which list counts."""
    home.problems = ["witness: no route to host"]
    with pytest.raises(StepFailed, match=r"not every store is ready(?s:.*)no route to host"):
        home.change().run(home.plans(), write=home.write)
    assert (set(home.uses.values()), home.written) == ({JOINT}, 1)
    home.problems = []
    home.change().run(home.plans(), write=home.write)
    assert (set(home.uses.values()), home.is_moved) == ({NEW}, True)


@pytest.mark.parametrize("is_told", [False, True])
def test_another_witness_at_the_second_try_is_refused(home: Home, *, is_told: bool) -> None:
    """With which stores the way began, and that one can go back while the old list counts."""
    home.uses, home.is_told = {JETSON: OLD, PI: JOINT}, is_told
    change = ListChange(config_id="elsewhere", say=home.steps.append, patience=home.patience)
    with pytest.raises(StepFailed, match=r"raspberrypi(?s:.*)witness 192.168.1.13:6379") as raised:
        change.refuse_unfit(boxes_of(home))
    assert "say ADDRESS= as you did then" in str(raised.value)
    assert ("make deploy-standby" in str(raised.value)) is not is_told


def test_a_box_that_does_not_say_its_list_is_left_alone(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pair of three stores would be sent on the way again."""
    monkeypatch.setattr(Home, "shown", lambda *_: {})
    assert home.change().is_missing(boxes_of(home))
    with pytest.raises(StepFailed, match="does not say which list of stores"):
        home.change().refuse_unfit(boxes_of(home))
