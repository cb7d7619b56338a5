"""A change of the list that breaks off says that the pair may be paused."""

import pytest

from deploy.errors import BoxUnreachable
from deploy.list_change import ListChange
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
