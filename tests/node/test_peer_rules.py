"""What a configuration must say for two nodes to speak directly, and what a fresh disk means."""

from pathlib import Path
from typing import Any, cast

import pytest

from deploy.store_list import joint_text
from election.promise import NOT_KNOWN, NOTHING_PROMISED, PromiseMemory
from election.promise_file import DiskPromiseFile
from node.backup.collect import Wanted, take
from node.backup.place import check, restore_state
from node.config import Config
from node.config_rules import check_config
from node.errors import ConfigRefused, SecretsRefused
from node.logs import LogHandle
from node.peer_rules import other_node, peer_sentence
from node.real_edges import RealEdges
from node.secrets import Secrets, load_secrets, require_complete
from node.state_files import PROMISE_FILE
from tests.support.backed_up import make_cluster, make_state
from tests.support.peer_rig import KEY
from tests.support.status_cases import THREE, TWO, make_config

HOSTS = {"jetson": "192.168.1.11", "raspberrypi": "192.168.1.12"}


def with_hosts(text: str, hosts: dict[str, str] | None = None) -> str:
    """Give nodes their addresses."""
    for node, host in (HOSTS if hosts is None else hosts).items():
        text = text.replace(f"[nodes.{node}]\n", f'[nodes.{node}]\nhost = "{host}"\n')
    return text


def problems(folder: Path, text: str) -> str:
    """Return what is wrong with a configuration, in one text."""
    try:
        return "".join(p.render() for p in check_config(make_config(folder, text)))
    except ConfigRefused as refused:
        return str(refused)


@pytest.mark.parametrize(
    ("hosts", "words"),
    [
        ({"jetson": "192.168.1.11"}, "one direction only"),
        ({**HOSTS, "jetson": "127.0.0.1"}, "another machine on each box"),
        ({**HOSTS, "jetson": "192.168.1.12"}, "also the address"),
    ],
)
def test_addresses_that_cannot_work_are_refused(
    tmp_path: Path, hosts: dict[str, str], words: str
) -> None:
    """One host for two, loopback between boxes, the same place twice."""
    assert words in problems(tmp_path, with_hosts(TWO, hosts))


def test_good_addresses_make_a_pair_that_speaks(tmp_path: Path) -> None:
    """Both hosts, and nothing is wrong; without them nobody is asked."""
    config = make_config(tmp_path, with_hosts(TWO))
    assert other_node(config, "jetson") == "raspberrypi"
    assert not peer_sentence(config, has_key=True)
    assert "peer.key" in peer_sentence(config, has_key=False)
    silent = make_config(tmp_path, TWO)
    assert other_node(silent, "jetson") is None
    assert "nodes.jetson.host" in peer_sentence(silent, has_key=True)


def test_no_node_is_called_like_a_person(tmp_path: Path) -> None:
    """The name under which a command line asks is taken."""
    assert "rename the node" in problems(tmp_path, TWO.replace("raspberrypi", "command"))


def test_prod_wants_the_endpoint_or_a_word(tmp_path: Path) -> None:
    """prod refuses what would go undetected, unless somebody says that it may."""
    prod = THREE.replace('"test"', '"prod"').replace('base_url = "http://192.168.1.12:8800"', "")
    assert "prod without hosts" in problems(tmp_path, prod)
    assert "prod without hosts" not in problems(tmp_path, with_hosts(prod))
    accepted = prod.replace('"prod"', '"prod"\naccept_no_peer = true')
    assert "prod without hosts" not in problems(tmp_path, accepted)


def test_prod_wants_the_key_too(tmp_path: Path) -> None:
    """A host without a key is no endpoint; the message says what to write where."""
    limits = (
        "max_order_value = 1\nmax_position_value = 1\nmax_open_orders = 1\n"
        "max_orders_per_minute = 1\nprice_band_percent = 1\ndaily_loss_limit = 1\n"
    )
    prod = THREE.replace('"test"', '"prod"').replace('base_url = "http://192.168.1.12:8800"', "")
    config = make_config(
        tmp_path, with_hosts(prod) + f"\n[risk]\n{limits}[telegram]\naccept_no_alerts = true\n"
    )
    key = {"venue": {"api_key": "key-1", "api_secret": "secret-1"}}
    with pytest.raises(SecretsRefused, match=r"peer\.key"):
        require_complete(Secrets.model_validate(key), config, tmp_path / "x")
    require_complete(Secrets.model_validate({**key, "peer": {"key": KEY}}), config, tmp_path / "x")


def test_short_key_is_refused_and_no_key_is_shown(tmp_path: Path) -> None:
    """A key that could be guessed is none; what it was is not said."""
    config = make_config(tmp_path, with_hosts(TWO))
    with pytest.raises(SecretsRefused, match=r"peer\.key has fewer") as refused:
        load_secrets(config, "jetson", {"HOTSPARE_SECRET__PEER__KEY": "short-one"})
    assert "short-one" not in str(refused.value)
    secrets = load_secrets(config, "jetson", {"HOTSPARE_SECRET__PEER__KEY": KEY})
    assert KEY not in repr(secrets)
    assert KEY in secrets.all_values()


# --- a disk without memory ----------------------------------------------------------------------


def memory_of(config: Config, folder: Path, key: str | None = KEY) -> PromiseMemory:
    """Return what a node begins with on this disk."""
    secrets = Secrets.model_validate({"peer": {"key": key}})
    edges = RealEdges(
        config,
        secrets,
        node_id="jetson",
        environ={},
        state_dir=folder,
        log=cast("LogHandle", cast("Any", None)),
    )
    return edges.promise_memory()


@pytest.mark.parametrize("before", [NOTHING_PROMISED, None])
def test_a_disk_out_of_a_backup_may_have_promised_since(
    before: PromiseMemory | None, tmp_path: Path
) -> None:
    """R14: whatever the backed-up disk said, the restored one must ask (ADR 0031, 0051)."""
    lived = make_cluster(tmp_path / "lived")
    state = make_state(lived)
    if before is None:
        (state / PROMISE_FILE).unlink()
    else:
        DiskPromiseFile(state / PROMISE_FILE).store(before)
    _, content = take(Wanted(config=lived, node_id="jetson", taken_ms=1))
    fresh = make_cluster(tmp_path / "fresh").node_state_dir("jetson")
    restore_state(check(content)[1], fresh)
    assert memory_of(lived, fresh) == NOT_KNOWN


def test_fresh_disk_may_have_promised_where_a_promise_is_possible(tmp_path: Path) -> None:
    """Two boxes, one store: not known. Elsewhere nothing can have been promised."""
    two = make_config(tmp_path, with_hosts(TWO))
    assert memory_of(two, tmp_path) == NOT_KNOWN
    assert not (tmp_path / PROMISE_FILE).exists()
    single = TWO.replace("two-boxes", "single-host").replace("192.168.1.12", "127.0.0.1")
    assert memory_of(make_config(tmp_path, single), tmp_path) == NOTHING_PROMISED
    assert (tmp_path / PROMISE_FILE).exists()
    assert memory_of(two, tmp_path) == NOTHING_PROMISED  # known since then


def test_a_disk_may_have_promised_before_the_pair_began_to_grow(tmp_path: Path) -> None:
    """The old list had one store; only the new one is known to have no promise behind it."""
    three = with_hosts(THREE)
    growing = make_config(tmp_path, joint_text(three, "raspberrypi"))
    assert memory_of(growing, tmp_path) == NOT_KNOWN
    assert memory_of(make_config(tmp_path, three), tmp_path) == NOTHING_PROMISED


def test_fresh_disk_without_key_or_hosts_may_have_promised_too(tmp_path: Path) -> None:
    """ADR 0031: the earlier card had the key perhaps; a box set up without it cannot know."""
    assert memory_of(make_config(tmp_path, with_hosts(TWO)), tmp_path, key=None) == NOT_KNOWN
    assert memory_of(make_config(tmp_path, TWO), tmp_path, key=None) == NOT_KNOWN
    assert not (tmp_path / PROMISE_FILE).exists()


def test_fresh_disk_is_no_question_with_three_stores(tmp_path: Path) -> None:
    """With three stores nobody stands down."""
    assert memory_of(make_config(tmp_path, with_hosts(THREE)), tmp_path) == NOTHING_PROMISED


def test_damaged_memory_is_a_question_everywhere(tmp_path: Path) -> None:
    """What cannot be read may be a promise."""
    (tmp_path / PROMISE_FILE).write_text("{")
    assert memory_of(make_config(tmp_path, with_hosts(THREE)), tmp_path) == NOT_KNOWN
