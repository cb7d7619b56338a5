"""From configuration and secrets to what the venue's side needs to know."""

from exchange.venues import VenueSettings
from node.config_model import Config
from node.secrets import Secrets


def venue_settings(config: Config, secrets: Secrets) -> VenueSettings:
    """Return where and as whom this node reaches the venue.

    Raises:
        SecretsRefused: there is no key.
    """
    api_key, api_secret = secrets.venue_key()
    venue = config.venue
    return VenueSettings(
        exchange_id=venue.exchange,
        api_key=api_key,
        api_secret=api_secret,
        symbols=tuple(symbol for s in config.strategies for symbol in s.symbols),
        base_url=venue.base_url,
        is_sandbox=venue.is_sandbox,
        recv_window_ms=venue.recv_window_ms,
        read_budget_s=venue.read_budget_s,
        write_timeout_s=venue.write_timeout_ms / 1000,
    )
