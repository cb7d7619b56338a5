"""Where the configured stores are and how to log in; for a node and for the command line alike.

Apart from real_edges.py, which is slow to import: a command line must start fast.
"""

from election.address import StoreAddress
from election.model import StoreName
from node.config_model import Config, StoreConfig
from node.secrets import Secrets


def store_addresses(config: Config, secrets: Secrets) -> tuple[StoreAddress, ...]:
    """Return where the stores are and how to log in."""
    grown_from, old_list = config.cluster.grown_from, config.old_list_id
    return tuple(
        address_of(store, secrets, old_list=old_list if store.name == grown_from else "")
        for store in config.stores
    )


def address_of(store: StoreConfig, secrets: Secrets, *, old_list: str = "") -> StoreAddress:
    """Return where one store is and how to log in; `old_list` as in `StoreAddress`."""
    return StoreAddress(
        name=StoreName(store.name),
        host=store.host,
        port=store.port,
        username=store.username,
        password=secrets.store_password(store.name),
        old_list=old_list,
    )
