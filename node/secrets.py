"""Secrets of one node: API key, store passwords, Telegram token; read once, never printed.

Order, later wins: the file, then `HOTSPARE_SECRET__VENUE__API_KEY` and the like from the
environment. The file is `<node>.toml` in `$CREDENTIALS_DIRECTORY` (systemd), else in `secrets/`
beside cluster.toml, and is refused when others can read it. No message here shows a value.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError

from election.peer_auth import KEY_MIN
from node.config_model import URL_PATTERN, Config, Profile
from node.errors import SecretsRefused
from node.secrets_file import DEFAULT_STORE, PREFIX, read_tree

FOLDER = "secrets"
SHORTEST = 4  # a shorter value could not be taken out of logs without blanking ordinary words


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class VenueSecrets(_Frozen):
    """Key of this box at the exchange; read and spot trading, never withdrawal."""

    api_key: SecretStr | None = None
    api_secret: SecretStr | None = None


class StoreSecrets(_Frozen):
    """Passwords of one lease store; `release_password` is the stop hook's, if it has its own."""

    password: SecretStr | None = None
    release_password: SecretStr | None = None


class TelegramSecrets(_Frozen):
    """Token of the bot."""

    token: SecretStr | None = None


class PeerSecrets(_Frozen):
    """What the two nodes sign with when they speak directly; the same on both boxes."""

    key: SecretStr | None = None


class DeadmanSecrets(_Frozen):
    """URLs of an outside service that are pinged; whoever has one can keep the alarm quiet."""

    cluster: SecretStr | None = None
    node: SecretStr | None = None


class Secrets(_Frozen):
    """All secrets of one node. `stores.default` applies to every store that is not named."""

    venue: VenueSecrets = VenueSecrets()
    stores: dict[str, StoreSecrets] = {}
    telegram: TelegramSecrets = TelegramSecrets()
    peer: PeerSecrets = PeerSecrets()
    deadman: DeadmanSecrets = DeadmanSecrets()

    def store_password(self, name: str) -> str | None:
        """Return the password of a store, None when it has none."""
        found = self.stores.get(name) or self.stores.get(DEFAULT_STORE)
        if found is None or found.password is None:
            return None
        return found.password.get_secret_value()

    def venue_key(self, file: str = f"{FOLDER}/<node>.toml") -> tuple[str, str]:
        """Return API key and secret; `file` is for the message.

        Raises:
            SecretsRefused: one is missing.
        """
        key, secret = self.venue.api_key, self.venue.api_secret
        if key is None or secret is None:
            raise SecretsRefused(
                "the exchange's API key is missing\n    → put venue.api_key and venue.api_secret "
                f"into {file}, or set {PREFIX}VENUE__API_KEY and "
                f"{PREFIX}VENUE__API_SECRET"
            )
        return key.get_secret_value(), secret.get_secret_value()

    def telegram_token(self) -> str | None:
        """Return the bot's token, None when there is none."""
        return None if self.telegram.token is None else self.telegram.token.get_secret_value()

    def peer_key(self) -> str | None:
        """Return what the nodes sign with, None when there is none."""
        return None if self.peer.key is None else self.peer.key.get_secret_value()

    def deadman_urls(self) -> dict[str, str]:
        """Return the dead-man URLs by what they stand for; those that are not set are absent."""
        found = {"cluster": self.deadman.cluster, "node": self.deadman.node}
        return {name: url.get_secret_value() for name, url in found.items() if url is not None}

    def all_values(self) -> frozenset[str]:
        """Return every secret value, for taking them out of logs."""
        found = [self.venue.api_key, self.venue.api_secret, self.telegram.token, self.peer.key]
        found += [s.password for s in self.stores.values()]
        found += [s.release_password for s in self.stores.values()]
        urls = self.deadman_urls().values()
        # Without its query too: Uptime Kuma's is rewritten with each ping.
        plain = {url.partition("?")[0] for url in urls}
        return frozenset({*(v.get_secret_value() for v in found if v is not None), *urls, *plain})


def require_complete(secrets: Secrets, config: Config, path: Path) -> None:
    """Refuse to run with secrets missing that this profile needs; `path` is where they belong.

    Raises:
        SecretsRefused: no API key; or, in prod, a chat to write to but no token to write with, or
            no key to sign with for the other node.
    """
    secrets.venue_key(str(path))
    is_prod = config.cluster.profile is Profile.PROD
    if is_prod and config.telegram.chat_id is not None and secrets.telegram_token() is None:
        raise SecretsRefused(
            "prod without alerts: telegram.chat_id is set, but the bot's token is missing\n"
            f"    → put telegram.token into {path}, or set {PREFIX}TELEGRAM__TOKEN"
        )
    is_peer_wanted = not config.cluster.accept_no_peer and len(config.nodes) > 1
    if is_prod and is_peer_wanted and secrets.peer_key() is None:
        raise SecretsRefused(
            "prod without peer.key: two nodes pointed at different store servers would go "
            f"undetected\n    → put peer.key into {path}, the same on both boxes, or set "
            f"{PREFIX}PEER__KEY; or say cluster.accept_no_peer = true"
        )


def secrets_path(config: Config, node_id: str, environ: Mapping[str, str]) -> Path:
    """Return where the secrets file of a node is, or would be."""
    credentials = environ.get("CREDENTIALS_DIRECTORY")
    if credentials and _may_exist(Path(credentials) / f"{node_id}.toml"):
        return Path(credentials) / f"{node_id}.toml"
    return config.directory / FOLDER / f"{node_id}.toml"


def has_secrets(config: Config, node_id: str, environ: Mapping[str, str]) -> bool:
    """Tell whether a node's secrets file lies here.

    True also where it cannot be looked at: then load_secrets says why, and what mends it.
    """
    return _may_exist(secrets_path(config, node_id, environ))


def _may_exist(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # another user's folder
        return True


def load_secrets(config: Config, node_id: str, environ: Mapping[str, str]) -> Secrets:
    """Read the secrets of a node; a missing file means that only the environment has some.

    Raises:
        SecretsRefused: the file is readable by others, unreadable, or not what it should be.
    """
    path = secrets_path(config, node_id, environ)
    is_credential = path.parent == Path(environ.get("CREDENTIALS_DIRECTORY") or os.devnull)
    tree = read_tree(path, environ, is_credential=is_credential)
    unknown = sorted(set(tree.get("stores", {})) - {s.name for s in config.stores})
    unknown = [name for name in unknown if name != DEFAULT_STORE]
    if unknown:
        raise SecretsRefused(
            f"{path}: there is no store {', '.join(unknown)}\n"
            f"    → name one of: {', '.join(s.name for s in config.stores)}, {DEFAULT_STORE}"
        )
    try:
        secrets = Secrets.model_validate(tree)
    except ValidationError as error:
        # only places and kinds: pydantic is told to leave values out, and so do we
        said = "; ".join(
            f"{'.'.join(str(k) for k in e['loc'])}: {e['msg'].lower()}"
            for e in error.errors(include_url=False, include_input=False)
        )
        raise SecretsRefused(
            f"{path}: {said}\n    → see docs/configuration.md#secrets for the keys"
        ) from None
    if any(len(value) < SHORTEST for value in secrets.all_values()):
        raise SecretsRefused(
            f"{path}: a secret has fewer than {SHORTEST} characters\n    → fill it in, or remove "
            "its line"
        )
    _check_deadman(secrets, path)
    key = secrets.peer_key()
    if key is not None and len(key) < KEY_MIN:
        raise SecretsRefused(
            f"{path}: peer.key has fewer than {KEY_MIN} characters\n    → use the one that "
            "`nodectl init` wrote, or make one with: openssl rand -base64 32"
        )
    return secrets


def is_deadman_url(url: str) -> bool:
    """Tell whether it can be pinged: http or https, with a path, no name and password in it."""
    return bool(re.match(URL_PATTERN, url)) and url.isascii() and url.isprintable()


def _check_deadman(secrets: Secrets, path: Path) -> None:
    urls = secrets.deadman_urls()
    for name, url in urls.items():
        if not is_deadman_url(url):
            raise SecretsRefused(
                f"{path}: deadman.{name} is not an address such as https://hc-ping.com/<uuid> or "
                "https://HOST/api/push/<token>\n    → copy it from the service, or remove its line"
            )
    if len(urls) > 1 and len(set(urls.values())) == 1:
        raise SecretsRefused(
            f"{path}: deadman.cluster and deadman.node are the same URL: a standby's pings would "
            "hide that nobody trades\n    → make one check for each at the service"
        )
