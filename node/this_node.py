"""Which of the cluster's nodes this machine is, when nobody says it."""

import socket
from collections.abc import Mapping

from node.config_model import Config
from node.secrets import has_secrets


def guess_node_id(config: Config, environ: Mapping[str, str]) -> str | None:
    """Return the node by this machine's host name, or by the only secrets file that lies here.

    None on the owner's own machine, which has the secrets of both.
    """
    host = socket.gethostname().lower()
    if host in config.nodes:
        return host
    with_secrets = [n for n in config.nodes if has_secrets(config, n, environ)]
    return with_secrets[0] if len(with_secrets) == 1 else None
