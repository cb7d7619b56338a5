"""The files that `nodectl init` writes, as text. Pure.

cluster.toml carries every setting that a person is likely to touch, each with its reason; the
complete list is docs/configuration.md.
"""

import json
from collections.abc import Mapping
from decimal import Decimal

from node.config_model import Profile, Topology
from node.init_answers import Answers

GITIGNORE_LINES = ("secrets/", "state/", "new-cluster")

KEY_RIGHTS = """\
API keys: make one key for EACH box, of the same account (best a sub-account):
  - rights: read and spot trading; never withdrawal
  - restrict each key to your own fixed address where the exchange allows it
  - two boxes must not share a key: a nonce or a ban of one would stop both"""


def render_cluster(answers: Answers) -> str:
    """Return cluster.toml."""
    parts = [
        _HEAD,
        _cluster(answers),
        *(_node(answers, place) for place in range(len(answers.node_ids))),
        _stores(answers),
        _venue(answers),
        _strategy(answers),
        _risk(answers),
        _telegram(answers),
        _TAIL,
    ]
    return "\n".join(parts)


def render_secrets(
    answers: Answers,
    node_id: str,
    *,
    store_password: str | None,
    peer_key: str,
    api_key: str | None = None,
    api_secret: str | None = None,
    token: str | None = None,
    deadman: str | None = None,
) -> str:
    """Return one node's secrets file; what is not known yet is a comment to fill in."""
    lines = [
        f"# Secrets of node {node_id} of {answers.name}. Mode 0600, never committed, only on",
        "# that box. Each box has its own API key: read and spot trading, never withdrawal.",
        "",
        "[venue]",
        _line("api_key", api_key),
        _line("api_secret", api_secret),
        "",
        "[stores.default]  # for every store; [stores.NAME] for one of them",
        _line("password", store_password),
        "",
        "[telegram]",
        _line("token", token),
        "",
        "[peer]  # what the two nodes sign with when they speak directly: the same on both boxes",
        _line("key", peer_key),
        "",
        "[deadman]  # URLs that are pinged: their silence is an alarm (docs/warnings.md)",
        "# cluster: pinged by the leader, the same on both boxes; node: another one on each box",
        _line("cluster", deadman),
        _line("node", None),
    ]
    return "\n".join(lines) + "\n"


def _line(name: str, value: str | None) -> str:
    return f'# {name} = ""' if value is None else f"{name} = {_text(value)}"


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)  # a JSON string is a TOML basic string


_HEAD = """\
# hotspare: one file for both boxes; keep it equal on both. Check it with `nodectl config check`.
# Every setting, with its unit and reason: docs/configuration.md. Secrets are in secrets/.
"""


STORES_SAID: Mapping[Topology, str] = {
    Topology.SINGLE_HOST: "# Loopback is for this machine alone; two boxes need LAN addresses.",
    Topology.TWO_BOXES: "# The only store runs on the standby's box. Fixed LAN address.",
    Topology.THREE_STORES: "# One store on each box and one on the witness. Fixed addresses.",
}
"""The line above the stores; adding a witness puts another one there."""


def render_store(name: str, host: str, port: int) -> str:
    """Return one store's table of cluster.toml."""
    return f"[[stores]]\nname = {_text(name)}\nhost = {_text(host)}\nport = {port}\n"


def render_box(name: str, ssh: str) -> str:
    """Return one box's table of inventory.toml."""
    return f"[boxes.{name}]\nssh = {_text(ssh)}\n"


def render_inventory(answers: Answers) -> str:
    """Return inventory.toml: how `make deploy-primary` reaches the boxes."""
    hosts = [(n, answers.node_host(place)) for place, n in enumerate(answers.node_ids)]
    if answers.topology is Topology.THREE_STORES:
        hosts.append(("witness", answers.witness_host))
    return _INVENTORY + "".join(f"\n{render_box(name, host)}" for name, host in hosts)


_INVENTORY = """\
# How `make deploy-primary` and the like reach the boxes: anything that `ssh` understands, such as
# "pi@192.168.1.20" or a name from ~/.ssh/config. No secrets here.
"""

_TAIL = """\
# Timing of the lease: the defaults suit a home network. A power cut costs about one ttl.
# [lease]
# ttl_ms = 6000
"""


def _cluster(answers: Answers) -> str:
    return f"""\
[cluster]
name = {_text(answers.name)}
profile = "{answers.profile}"  # dev, test (paper or sandbox money), prod (real money)
topology = "{answers.topology}"
preferred_node = {_text(answers.preferred_node)}  # never taken back by itself
# accept_standby_risk = true  # two-boxes: I know that losing the standby's box stops trading
"""


def _node(answers: Answers, place: int) -> str:
    node_id = answers.node_ids[place]
    return f"""\
[nodes.{node_id}]
label = {_text(answers.labels.get(node_id, node_id))}
index = {place}
host = {_text(answers.node_host(place))}  # where it listens for the other node
peer_port = {answers.peer_port(place)}
"""


def _stores(answers: Answers) -> str:
    entries = [render_store(name, host, port) for name, host, port in answers.stores()]
    return "\n".join([STORES_SAID[answers.topology], *entries])


def _venue(answers: Answers) -> str:
    if answers.profile is Profile.PROD:
        where = "# the exchange itself: prod refuses base_url and is_sandbox"
    elif (url := answers.paper_url()) is not None:
        where = f"base_url = {_text(url)}  # the paper exchange; not in prod"
    else:
        where = "is_sandbox = true  # the exchange's own test network; not in prod"
    return f"[venue]\nexchange = {_text(answers.exchange)}\n{where}\n"


def _strategy(answers: Answers) -> str:
    symbols = ", ".join(_text(symbol) for symbol in answers.symbols)
    return f"""\
# hold wants nothing (the safe start), trend and grid are shipped; or your own file: "mine.py".
[[strategies]]
use = {_text(answers.strategy)}
symbols = [{symbols}]
"""


def _risk(answers: Answers) -> str:
    return f"""\
# Limits that no strategy can pass, in the quote currency. prod wants every one of them set.
[risk]
max_order_value = {_number(answers.max_order_value)}
max_position_value = {_number(answers.position_value())}
max_open_orders = {answers.max_open_orders}
max_orders_per_minute = {answers.max_orders_per_minute}
price_band_percent = {_number(answers.price_band_percent)}
daily_loss_limit = {_number(answers.loss_limit())}  # no new risk after it until you resume
"""


def _number(value: Decimal) -> str:
    return format(value, "f")


def _telegram(answers: Answers) -> str:
    if answers.chat_id is not None:
        chat = f"chat_id = {answers.chat_id}"
    else:
        chat = "# chat_id = 123456789  # `nodectl telegram test` finds it"
    users = ", ".join(str(user) for user in answers.allowed_user_ids)
    allowed = f"allowed_user_ids = [{users}]" if users else "# allowed_user_ids = [123456789]"
    accepted = "accept_no_alerts = true\n" if answers.accept_no_alerts else ""
    return f"[telegram]\n{chat}\n{allowed}  # who may send /status, /pause, /resume\n{accepted}"
