"""Configuration: where values come from, what is refused, and that everything is said at once."""

from pathlib import Path
from typing import Any

import pytest

from election.errors import TimingRefused
from election.model import LeaseTiming
from node.config import (
    Config,
    ConfigRefused,
    LeaseConfig,
    Profile,
    load_config,
    topology_sentence,
    topology_warnings,
)
from tests.support.status_cases import THREE, TWO

SINGLE = """
[cluster]
name = "demo"
topology = "single-host"
preferred_node = "jetson"
[nodes.jetson]
index = 0
[nodes.raspberrypi]
index = 1
[[stores]]
name = "local"
host = "127.0.0.1"
[venue]
base_url = "http://127.0.0.1:8800"
[[strategies]]
use = "grid"
symbols = ["BTC/USDT"]
parameters = { levels = 3, step_percent = 0.35, name = "a", on = true }
"""

PROD = THREE.replace('"test"', '"prod"\naccept_no_peer = true').replace(
    'base_url = "http://192.168.1.12:8800"', ""
)
RISK = """
[risk]
max_order_value = 1
max_position_value = 2
max_open_orders = 3
max_orders_per_minute = 4
price_band_percent = 5
daily_loss_limit = 6
"""
CHAT = "\n[telegram]\nchat_id = 1\n"


def load(folder: Path, text: str, environ: dict[str, str] | None = None, **kwargs: Any) -> Config:
    """Load a cluster.toml with the given text."""
    path = folder / "cluster.toml"
    path.write_text(text, encoding="utf-8")
    return load_config(path, environ=environ or {}, **kwargs)


def refused(folder: Path, text: str, environ: dict[str, str] | None = None) -> dict[str, str]:
    """Return path -> text of every problem."""
    with pytest.raises(ConfigRefused) as caught:
        load(folder, text, environ)
    return {p.path: p.render() for p in caught.value.problems}


def test_numbers_stay_exact_and_paths_count_from_the_file(tmp_path: Path) -> None:
    """0.35 in the file is exactly 0.35; relative paths do not depend on the working folder."""
    text = SINGLE.replace('use = "grid"', 'use = "mine.py"')
    config = load(tmp_path, text)
    strategy = config.strategies[0]
    assert str(strategy.parameters["step_percent"]) == "0.35"
    assert strategy.parameters["on"] is True
    assert strategy.parameters["levels"] == 3
    assert strategy.use == str(tmp_path / "mine.py")
    assert config.node_state_dir("jetson") == tmp_path / "state" / "jetson"
    assert config.directory == tmp_path


def test_a_shipped_strategy_is_not_taken_for_a_path(tmp_path: Path) -> None:
    """`grid` stays a name."""
    assert load(tmp_path, SINGLE).strategies[0].use == "grid"


def test_overlay_wins_over_the_file_and_the_environment_over_both(tmp_path: Path) -> None:
    """Later wins; tables are merged, other keys of the section stay."""
    (tmp_path / "cluster.dev.toml").write_text(
        "[lease]\nttl_ms = 8000\nrenew_ms = 900\n[risk]\nmax_open_orders = 7\n", encoding="utf-8"
    )
    text = SINGLE + "[lease]\nttl_ms = 7000\nobserve_ms = 400\n"
    config = load(tmp_path, text, {"HOTSPARE__LEASE__TTL_MS": "9000"})
    lease = config.lease
    assert (lease.ttl_ms, lease.renew_ms, lease.observe_ms) == (9000, 900, 400)
    assert config.risk.max_open_orders == 7


def test_the_profile_chooses_the_overlay_and_the_cluster_id(tmp_path: Path) -> None:
    """argument > environment > file; the profile is part of the cluster's name."""
    (tmp_path / "cluster.test.toml").write_text("[risk]\nmax_open_orders = 7\n", encoding="utf-8")
    assert load(tmp_path, SINGLE).cluster_id == "dev-demo"
    by_variable = load(tmp_path, SINGLE, {"HOTSPARE__CLUSTER__PROFILE": "test"})
    assert (by_variable.cluster_id, by_variable.risk.max_open_orders) == ("test-demo", 7)
    variables = {"HOTSPARE__CLUSTER__PROFILE": "dev"}
    by_argument = load(tmp_path, SINGLE, variables, profile="test")
    assert by_argument.cluster.profile is Profile.TEST


def test_an_overlay_cannot_change_its_own_profile(tmp_path: Path) -> None:
    """The overlay of dev that says prod is refused."""
    (tmp_path / "cluster.dev.toml").write_text('[cluster]\nprofile = "prod"\n', encoding="utf-8")
    assert "cluster.profile" in refused(tmp_path, SINGLE)


def test_environment_reaches_list_items_and_node_names_with_a_dash(tmp_path: Path) -> None:
    """Items by number; "-" in a name is "_" in a variable."""
    text = SINGLE.replace("raspberrypi", "rasp-pi")
    config = load(
        tmp_path,
        text,
        {"HOTSPARE__STORES__0__PORT": "7001", "HOTSPARE__NODES__RASP_PI__LABEL": "Attic"},
    )
    assert config.stores[0].port == 7001
    assert config.label_of("rasp-pi") == "Attic"


@pytest.mark.parametrize(
    "name", ["HOTSPARE__STORES__3__PORT", "HOTSPARE__STORES__A__PORT", "HOTSPARE__LEESE__TTL_MS"]
)
def test_a_variable_that_sets_nothing_is_an_error(name: str, tmp_path: Path) -> None:
    """A typing error in a variable's name must not be silent; the message names the variable."""
    problems = refused(tmp_path, SINGLE, {name: "1"})
    assert any(name in text for text in problems.values())


def test_every_problem_is_reported_at_once_with_place_and_mend(tmp_path: Path) -> None:
    """Shapes, unknown keys, missing keys and relations appear together."""
    text = (
        SINGLE.replace("index = 1", "index = 0")
        .replace("preferred_node", "prefered_node")
        .replace('host = "127.0.0.1"', 'host = "127.0.0.1"\nport = "x"')
        .replace("levels = 3", "levels = [3]")
        + "[leese]\n[lease]\nttl_ms = 3000\n[telegram]\nbot_token = 5\n"
    )
    problems = refused(tmp_path, text)
    assert set(problems) == {
        "leese",
        "cluster.preferred_node",
        "cluster.prefered_node",
        "stores.0.port",
        "strategies.0.parameters.levels",
        "nodes.raspberrypi.index",
        "lease",
        "telegram.bot_token",
    }
    assert "did you mean 'lease'?" in problems["leese"]
    assert "did you mean 'preferred_node'?" in problems["cluster.prefered_node"]
    assert "3800" in problems["lease"]
    assert "2700" in problems["lease"]
    assert "secrets" in problems["telegram.bot_token"]
    assert all("→" in t and "cluster.toml" in t for k, t in problems.items() if k != "lease")


def test_a_secret_in_the_wrong_place_is_not_shown(tmp_path: Path) -> None:
    """A bot token pasted as a chat id is refused without printing it."""
    token = "123456789:AAFakeFakeFakeFakeFakeFakeFakeFake"
    text = SINGLE + f'[telegram]\nchat_id = "{token}"\n'
    problems = refused(tmp_path, text)
    assert "[redacted]" in problems["telegram.chat_id"]
    assert token not in str(problems)


@pytest.mark.parametrize(
    ("content", "word"),
    [(None, "cannot be read"), (b"[cluster", "not TOML"), (b"\xff\xfe", "UTF-8")],
    ids=["missing", "broken", "not text"],
)
def test_an_unreadable_file_is_one_clear_error(
    content: bytes | None, word: str, tmp_path: Path
) -> None:
    """Missing, broken and binary files are told apart, each with its mend."""
    path = tmp_path / "cluster.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigRefused) as caught:
        load_config(path, environ={})
    assert word in caught.value.render()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "0.0.0.0", "127.3.2.1"])
def test_loopback_stores_are_refused_but_on_a_single_host(host: str, tmp_path: Path) -> None:
    """R13: a loopback address means another machine on each box, so two private leases."""
    problems = refused(tmp_path, THREE.replace("192.168.1.13", host))
    assert "two private leases" in problems["stores.2.host"]


ROWS: list[tuple[str, str, str]] = [
    (
        "two stores",
        SINGLE + '[[stores]]\nname = "b"\nhost = "127.0.0.1"\nport = 2\n',
        "stores",
    ),
    ("two-boxes with three stores", THREE.replace("three-stores", "two-boxes"), "stores"),
    ("three-stores with one", TWO.replace("two-boxes", "three-stores"), "stores"),
    ("same address twice", THREE.replace("192.168.1.13", "192.168.1.12"), "stores.2.host"),
    ("same name twice", THREE.replace('name = "witness"', 'name = "jetson"'), "stores.2.name"),
    (
        "only store on the preferred box",
        TWO.replace('name = "raspberrypi"\n', 'name = "jetson"\n'),
        "stores.0",
    ),
    (
        "unknown preferred node",
        SINGLE.replace('preferred_node = "jetson"', 'preferred_node = "nano"'),
        "cluster.preferred_node",
    ),
    ("three nodes", SINGLE + "[nodes.third]\nindex = 2\n", "nodes"),
    (
        "one symbol, two strategies",
        SINGLE + '[[strategies]]\nuse = "trend"\nsymbols = ["BTC/USDT"]\n',
        "strategies.1.symbols",
    ),
    (
        "real exchange in dev",
        SINGLE.replace('base_url = "http://127.0.0.1:8800"', ""),
        "venue",
    ),
    (
        "key in clear over the internet",
        SINGLE.replace("http://127.0.0.1:8800", "http://8.8.8.8:8800"),
        "venue.base_url",
    ),
    (
        "exchange without a row",
        SINGLE.replace("[venue]", '[venue]\nexchange = "mtgox"'),
        "venue.exchange",
    ),
    (
        "paper and sandbox",
        SINGLE.replace("[venue]", "[venue]\nis_sandbox = true"),
        "venue.is_sandbox",
    ),
    (
        "write outlives the fence",
        SINGLE.replace("[venue]", "[venue]\nwrite_timeout_ms = 1001"),
        "venue.write_timeout_ms",
    ),
    (
        "read looks like a hang",
        SINGLE.replace("[venue]", "[venue]\nread_budget_s = 5.0"),
        "venue.read_budget_s",
    ),
    (
        "decision looks like a hang",
        SINGLE + "budget_ms = 5000\n",
        "strategies.0.budget_ms",
    ),
    (
        "fence off in test",
        SINGLE.replace('name = "demo"', 'name = "demo"\nprofile = "test"')
        + "[lease]\nis_fence_enabled = false\n",
        "lease.is_fence_enabled",
    ),
    ("single host in prod", SINGLE.replace('"demo"', '"d"\nprofile = "prod"'), "cluster.topology"),
    ("paper in prod", THREE.replace('"test"', '"prod"') + RISK + CHAT, "venue.base_url"),
    (
        "sandbox in prod",
        PROD.replace("[venue]", "[venue]\nis_sandbox = true") + RISK + CHAT,
        "venue.is_sandbox",
    ),
    ("no alerts in prod", PROD + RISK, "telegram.chat_id"),
    (
        "several quotes in prod",
        PROD.replace("ETH/USDT", "ETH/BTC") + RISK + CHAT,
        "strategies",
    ),
    (
        "unset limit in prod",
        PROD + RISK.replace("max_open_orders = 3\n", "") + CHAT,
        "risk.max_open_orders",
    ),
]


@pytest.mark.parametrize(("text", "path"), [r[1:] for r in ROWS], ids=[r[0] for r in ROWS])
def test_what_does_not_fit_together_is_refused(text: str, path: str, tmp_path: Path) -> None:
    """Each relation has a case that breaks it alone or first."""
    assert path in refused(tmp_path, text)


@pytest.mark.parametrize(
    "text",
    [
        SINGLE,
        THREE,
        TWO,
        PROD + RISK + CHAT,
        PROD + RISK + "\n[telegram]\naccept_no_alerts = true\n",
        SINGLE + "[lease]\nis_fence_enabled = false\n",
        SINGLE.replace("[venue]", "[venue]\nread_budget_s = 4.99\nwrite_timeout_ms = 1000"),
        THREE.replace("ETH/USDT", "ETH/BTC"),
    ],
)
def test_the_good_side_of_each_boundary_is_accepted(text: str, tmp_path: Path) -> None:
    """What is allowed is allowed."""
    load(tmp_path, text)


def test_prod_names_every_unset_limit(tmp_path: Path) -> None:
    """Defaults are no decision in prod: each limit must be written down."""
    problems = refused(tmp_path, PROD + CHAT)
    assert len([p for p in problems if p.startswith("risk.")]) == 6


def test_config_id_depends_on_the_ordered_store_list_alone(tmp_path: Path) -> None:
    """R3: the same list gives the same id on both nodes; order and ports matter."""
    base = load(tmp_path, THREE)
    assert load(tmp_path, THREE + "\n[lease]\nttl_ms = 9000\n").config_id == base.config_id
    swapped = THREE.replace("192.168.1.11", "x").replace('192.168.1.12"\n', '192.168.1.11"\n', 1)
    swapped = swapped.replace('host = "x"', 'host = "192.168.1.12"')
    assert load(tmp_path, swapped).config_id != base.config_id
    other_port = {"HOTSPARE__STORES__0__PORT": "6380"}
    assert load(tmp_path, THREE, other_port).config_id != base.config_id


def test_lease_defaults_are_those_of_the_lease(tmp_path: Path) -> None:
    """The configuration has the same defaults as the package that uses them."""
    assert load(tmp_path, SINGLE).timing() == LeaseTiming()
    fields = set(LeaseConfig.model_fields) - {"is_fence_enabled"}
    assert fields == set(LeaseTiming.__dataclass_fields__)
    with pytest.raises(TimingRefused):
        LeaseTiming(ttl_ms=3000)


def test_two_boxes_says_what_each_loss_means_and_the_remedy(tmp_path: Path) -> None:
    """One sentence and the remedy; accepting the risk makes it one quiet line."""
    loud = load(tmp_path, TWO)
    assert topology_sentence(loud) in topology_warnings(loud)[0]
    assert "witness" in topology_warnings(loud)[0]
    accepted = TWO.replace("[cluster]", "[cluster]\naccept_standby_risk = true")
    quiet = topology_warnings(load(tmp_path, accepted))
    assert len(quiet[0]) < 80
    assert topology_warnings(load(tmp_path, THREE)) == ()


def test_configuration_is_immutable(tmp_path: Path) -> None:
    """Nobody changes it at run time."""
    config = load(tmp_path, SINGLE)
    with pytest.raises(ValueError, match="frozen"):
        config.lease.ttl_ms = 1


@pytest.mark.parametrize(
    ("section", "key"), [("venue", "base_url"), ("telegram", "api_url")], ids=["venue", "telegram"]
)
def test_an_address_with_a_password_is_refused_without_showing_it(
    section: str, key: str, tmp_path: Path
) -> None:
    """`config show` prints addresses, so they must not carry secrets; nor may the refusal."""
    text = SINGLE.replace('base_url = "http://127.0.0.1:8800"', "is_sandbox = true")
    address = f'{key} = "https://me:hunter2hunter@192.168.1.20/"'
    if section == "venue":
        text = text.replace("is_sandbox = true", address)
    else:
        text += f"\n[{section}]\n{address}\n"
    problems = refused(tmp_path, text)
    assert set(problems) == {f"{section}.{key}"}
    assert "hunter2" not in problems[f"{section}.{key}"]
