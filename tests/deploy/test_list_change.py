"""What a change of the list may lift, and what it says when it breaks off."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from deploy.box import NodeState
from deploy.errors import BoxUnreachable, StepFailed
from deploy.list_change import REASON, ListChange
from deploy.switching import Patience


@pytest.mark.parametrize("broken", [BoxUnreachable("jetson: the connection broke off"),
                                    KeyboardInterrupt()])  # fmt: skip
def test_whoever_breaks_it_off_is_told_that_nobody_may_trade(
    monkeypatch: pytest.MonkeyPatch, broken: BaseException
) -> None:
    """Ctrl-C or a lost box in the middle leaves the pair paused, in no words of its own."""

    def breaks_off(*_: object) -> None:
        raise broken

    said: list[str] = []
    monkeypatch.setattr(ListChange, "_counts", breaks_off)
    change = ListChange(config_id="new", say=said.append, patience=Patience())
    with pytest.raises(type(broken)):
        change.run([], write=lambda: None)
    assert said == ["note: the change of the list is not finished: the pair may be paused"]


@dataclass
class SeenBox:
    """A box whose node says this; notes what is typed there."""

    status: dict[str, Any]
    ran: list[str] = field(default_factory=list)

    @property
    def shell(self) -> "SeenBox":
        """It is its own way there."""
        return self

    def as_root(self, script: str) -> str:
        """Note it; what resumes, resumes."""
        self.ran.append(script)
        if "nodectl resume" in script:
            self.status |= {"is_paused": False, "is_loss_latched": False}
        return "code=0"

    def node_state(self) -> NodeState:
        """Return what its node says."""
        nothing = dict.fromkeys(
            ("fingerprint", "release", "settings", "previous_release", "previous_settings"), ""
        )
        return NodeState(is_active=True, restarts=0, status=self.status, **nothing)


def finish(monkeypatch: pytest.MonkeyPatch, box: SeenBox, **meanwhile: Any) -> list[str]:
    """Finish a change that paused the pair and was walked already; return what was said."""

    def restart(*_: object) -> str:
        box.status |= meanwhile
        return ""

    said: list[str] = []
    monkeypatch.setattr(ListChange, "_counts", lambda *_: True)
    monkeypatch.setattr(ListChange, "_restart", restart)
    change = ListChange(config_id="new", say=said.append, patience=Patience())
    change.run([(box, None)], write=lambda: None)  # type: ignore[list-item]
    return said


def paused() -> SeenBox:
    return SeenBox({"is_paused": True, "pause_reason": f"{REASON} (by ann)", "holder": "jetson"})


def test_its_own_pause_is_lifted(monkeypatch: pytest.MonkeyPatch) -> None:
    box = paused()
    assert finish(monkeypatch, box)[-1].startswith("jetson leads with three stores")
    assert len(box.ran) == 1


@pytest.mark.parametrize(
    ("meanwhile", "words"),
    [
        ({"pause_reason": "it looks odd (by bob)"}, "paused meanwhile: it looks odd (by bob)"),
        ({"is_loss_latched": True}, "resuming would lift the daily loss limit too"),
    ],
)
def test_what_a_person_or_the_loss_limit_latched_meanwhile_stays(
    monkeypatch: pytest.MonkeyPatch, meanwhile: dict[str, Any], words: str
) -> None:
    """S6: they are lifted only by a person, who has seen them."""
    box = paused()
    assert words in finish(monkeypatch, box, **meanwhile)[-1]
    assert box.ran == []
    assert box.status["is_paused"]


def test_a_pair_whose_loss_limit_is_latched_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ListChange, "_counts", lambda *_: False)
    box = SeenBox({"is_loss_latched": True, "holder": "jetson", "spares": ["raspberrypi"]})
    change = ListChange(config_id="new", say=lambda _: None, patience=Patience())
    with pytest.raises(StepFailed, match="daily loss limit"):
        change.refuse_unfit([box])  # type: ignore[list-item]
