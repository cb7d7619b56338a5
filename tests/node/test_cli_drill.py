"""nodectl drill at real lease stores with puppets: who is asked, what is refused and kept."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from node.cli import drill as drill_module
from node.cli.common import open_secrets
from node.demo.stores import StoreServer
from node.drill import watching
from node.drill.verdict import Seen
from tests.support.nodectl import nodectl
from tests.support.puppet_pair import (
    NODES,
    Puppets,
    running_puppets,
    wait_until,
    write_config,
)

TICKETS: dict[str, dict[str, Any]] = {
    node: {"drill": {"ticket": f"ticket-{node}", "running": ""}} for node in NODES
}


@pytest.fixture
def pair(servers: list[StoreServer], tmp_path: Path) -> Iterator[Puppets]:
    """A pair that beats and shows tickets; the stores are empty before."""
    for server in servers:
        server.restart()
    config = write_config(tmp_path, servers, "[drills]\nslack_ms = 60000\n")
    with running_puppets(config) as puppets:
        puppets.bodies.update(TICKETS)
        wait_until(lambda: drill(puppets, "history")[0] == 0)
        yield puppets


def drill(pair: Puppets, *arguments: str, **options: Any) -> tuple[int, str]:
    """Run nodectl drill for the puppets' cluster."""
    return nodectl(pair, "drill", *arguments, **options)


def records(pair: Puppets) -> set[str]:
    from node.cli.common import look, open_secrets  # noqa: PLC0415  (as the verb does)

    seen = look(pair.config, open_secrets(pair.config, None))
    return {kind for store in seen.answered for kind in store.control}


def wait_shown(pair: Puppets, node_id: str, **facts: Any) -> None:
    """Wait until the board shows it: asked too early, a drill would really begin."""
    from election.peek import merged_members  # noqa: PLC0415  (as the verb does)
    from node.cli.common import look, open_secrets  # noqa: PLC0415

    def is_shown() -> bool:
        seen = look(pair.config, open_secrets(pair.config, None))
        found = {str(n): m for n, m in merged_members(seen).items()}.get(node_id)
        return found is not None and all(found.body.get(k) == v for k, v in facts.items())

    wait_until(is_shown)


def test_nobody_to_ask_is_a_refusal(pair: Puppets) -> None:
    """A script must say that it means it; nothing is written before."""
    code, text = drill(pair, "switchover")
    assert code == 1
    assert "--name puppets, or --yes" in text
    code, text = drill(pair, "switchover", "--name", "other")
    assert (code, "nothing was done" in text) == (1, True)
    assert "drill" not in records(pair)


def test_prod_is_never_content_with_yes(pair: Puppets, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cluster's name is asked for, whatever --yes says."""
    from node.cli import drill as module  # noqa: PLC0415  (patched below)
    from node.config_model import Profile  # noqa: PLC0415

    monkeypatch.setattr(module, "Profile", type("P", (), {"PROD": Profile.DEV}))
    code, text = drill(pair, "switchover", "--yes")
    assert code == 1
    assert "say --name puppets" in text
    assert "--yes" not in text


def test_a_switchover_drill_ends_with_a_verdict_that_is_kept(
    pair: Puppets, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Puppets write no takeover document: the drill fails, says why, and is in the history."""
    for name in ("LATE_EXTRA_S", "ORDER_S", "ALERT_WAIT_S", "CLOSED_WAIT_S"):
        monkeypatch.setattr(watching, name, 1.0)
    monkeypatch.setattr(watching, "LATE_FACTOR", 0.0)
    code, text = drill(
        pair, "switchover", "--yes", "--json", "--no-venue-check", "--back-within", "5s"
    )
    assert code == 2, text
    shown, _ = json.JSONDecoder().raw_decode(text[text.index("{") :])
    assert shown["outcome"] == "failed"
    assert "did not come to trade" in shown["summary"]
    assert shown["kept"] == ""
    code, text = drill(pair, "history")
    assert (code, "FAILED" in text) == (0, True)
    (entry,) = json.loads(drill(pair, "history", "--json")[1])
    assert entry["id"] == shown["id"]


@pytest.mark.parametrize(
    ("lines", "error", "said"),
    [
        ('{"type": "request", "method": "POST", "arrival": null}\n', None, "TypeError"),
        ("", KeyboardInterrupt(), "interrupted"),
        ("", RuntimeError("GET /order?signature=abc"), "RuntimeError while it was read"),
    ],
    ids=["a log that is none", "Ctrl-C while it reads", "a library that stumbles"],
)
def test_a_record_that_cannot_be_read_costs_no_verdict(
    pair: Puppets,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    lines: str,
    error: BaseException | None,
    said: str,
) -> None:
    """The pair was hurt already: what was seen is judged and kept, and no signature is shown."""
    log = tmp_path / "requests.jsonl"
    log.write_text(lines)

    def stumble(*_: object, **__: object) -> None:
        assert error is not None
        raise error

    if error is not None:
        monkeypatch.setattr(drill_module, "check_log", stumble)
    seen = drill_module._with_venue(
        Seen(by="a test", at_ms=0), pair.config, open_secrets(pair.config, None), log, since_ms=0
    )
    assert seen.venue is None
    assert said in seen.why_no_venue
    assert "signature" not in seen.why_no_venue


def test_a_node_that_shows_no_ticket_is_not_asked(pair: Puppets) -> None:
    """A node of an older version would not know what a drill is."""
    pair.bodies["jetson"] = {}
    wait_shown(pair, "jetson", drill=None)
    code, text = drill(pair, "crash", "--yes")
    assert (code, "shows no ticket" in text) == (1, True)
    assert "drill" not in records(pair)


def test_one_drill_at_a_time(pair: Puppets) -> None:
    """A node that shows one as running."""
    running = {"ticket": "t", "running": "store-1"}
    pair.bodies["raspberrypi"] = {"drill": running}
    wait_shown(pair, "raspberrypi", drill=running)
    code, text = drill(pair, "hang", "--yes")
    assert (code, "another drill is running: store-1" in text) == (1, True)


def test_the_configuration_may_forbid_drills(servers: list[StoreServer], tmp_path: Path) -> None:
    """[drills] is_allowed = false, said in words."""
    config = write_config(tmp_path, servers, "[drills]\nis_allowed = false\n")
    with running_puppets(config) as puppets:
        puppets.bodies.update(TICKETS)
        code, text = drill(puppets, "crash", "--yes")
        assert code == 1
        assert "is_allowed = false" in text


def test_no_spare_no_drill(pair: Puppets) -> None:
    """The drill would stop trading as the loss would."""
    pair.reasons["raspberrypi"] = ["91 °C"]
    wait_shown(pair, "raspberrypi", reasons=["91 °C"])
    code, text = drill(pair, "crash", "--yes")
    assert (code, "no fit spare" in text) == (1, True)


@pytest.mark.parametrize(
    "arguments",
    [
        ["store"],
        ["crash", "witness"],
        ["explode"],
        ["store", "one", "--for", "soon"],
        ["partition", "--for", "1h"],
        ["crash", "--back-within", "5"],
        ["crash", "--venue-log", "/nonexistent/requests.jsonl"],
    ],
)
def test_wrong_usage_is_64(pair: Puppets, arguments: list[str]) -> None:
    """Said before anything is asked."""
    code, text = drill(pair, *arguments, "--yes")
    assert code == 64, text
    assert "drill" not in records(pair)


def test_a_store_that_does_not_exist_is_refused_with_those_that_do(pair: Puppets) -> None:
    code, text = drill(pair, "store", "attic", "--yes")
    assert code == 1
    assert "use one of: one, two, three" in text.replace("\n", " ")


def test_history_without_drills_or_stores(pair: Puppets, servers: list[StoreServer]) -> None:
    """Nothing on record is no error; no store is."""
    assert drill(pair, "history") == (0, "no drill is on record\n")
    for server in servers:
        server.kill()
    assert drill(pair, "history")[0] == 3
    for server in servers:
        server.restart()
