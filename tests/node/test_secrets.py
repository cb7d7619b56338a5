"""Secrets: where they come from, who may read them, and that they never appear anywhere."""

import errno
import os
import socket
from contextlib import nullcontext
from pathlib import Path

import pytest

from node.cli.common import find_node_id, open_secrets
from node.config import Config, RiskConfig
from node.errors import CommandRefused, SecretsRefused
from node.redact import MASK, redact
from node.secrets import load_secrets, require_complete, secrets_path
from tests.support.status_cases import THREE, make_config

FILE = """
[venue]
api_key = "key-of-jetson"
api_secret = "secret-of-jetson"
[stores.default]
password = "for-all-stores"
[stores.witness]
password = "for-the-witness"
[telegram]
token = "123456789:AAFakeFakeFakeFakeFakeFake"
"""
VALUES = {
    "key-of-jetson",
    "secret-of-jetson",
    "for-all-stores",
    "for-the-witness",
    "123456789:AAFakeFakeFakeFakeFakeFake",
}


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A cluster of three stores with a secrets folder."""
    (tmp_path / "secrets").mkdir(mode=0o700)
    return make_config(tmp_path)


def write(path: Path, text: str = FILE, mode: int = 0o600) -> Path:
    """Write a secrets file with the given mode."""
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def test_a_folder_of_another_user_is_refused_in_words(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever looks whether a file is there must not end with a traceback (exit code 70)."""
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)

    def refuse(path: Path, *_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    for name in ("stat", "open"):
        monkeypatch.setattr(Path, name, refuse)
    with pytest.raises(SecretsRefused, match=r"jetson.toml: cannot be read: Permission denied\n"):
        open_secrets(config, None)
    monkeypatch.setattr(socket, "gethostname", lambda: "laptop")
    with pytest.raises(CommandRefused, match="cannot be told which node"):
        find_node_id(config, None)


def test_file_is_read_and_never_printed(config: Config, tmp_path: Path) -> None:
    """repr, str and JSON of the secrets show no value."""
    write(tmp_path / "secrets" / "jetson.toml")
    secrets = load_secrets(config, "jetson", {})
    assert secrets.venue_key() == ("key-of-jetson", "secret-of-jetson")
    assert secrets.store_password("witness") == "for-the-witness"
    assert secrets.store_password("jetson") == "for-all-stores"
    assert secrets.all_values() == VALUES
    shown = f"{secrets!r} {secrets} {secrets.model_dump_json()}"
    assert not any(value in shown for value in VALUES)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o660, 0o644])
def test_file_that_others_can_read_is_refused(mode: int, config: Config, tmp_path: Path) -> None:
    """Any right of group or others refuses it, and the message says how to mend it."""
    write(tmp_path / "secrets" / "jetson.toml", mode=mode)
    with pytest.raises(SecretsRefused, match="chmod 600"):
        load_secrets(config, "jetson", {})


def test_systemd_credentials_come_first(config: Config, tmp_path: Path) -> None:
    """systemd may show a credential as 0440 (access by ACL); readable by all is refused."""
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    write(tmp_path / "secrets" / "jetson.toml", FILE.replace("key-of-jetson", "other-key"))
    file = write(credentials / "jetson.toml", mode=0o440)
    environ = {"CREDENTIALS_DIRECTORY": str(credentials)}
    assert secrets_path(config, "jetson", environ) == file
    assert load_secrets(config, "jetson", environ).venue_key()[0] == "key-of-jetson"
    file.chmod(0o444)
    with pytest.raises(SecretsRefused):
        load_secrets(config, "jetson", environ)


def test_environment_wins_and_is_enough(config: Config) -> None:
    """Without a file the environment alone may have them; "-" of a store is "_"."""
    environ = {
        "HOTSPARE_SECRET__VENUE__API_KEY": "key-by-variable",
        "HOTSPARE_SECRET__VENUE__API_SECRET": "secret-by-variable",
        "HOTSPARE_SECRET__STORES__WITNESS__PASSWORD": "password-by-variable",
    }
    secrets = load_secrets(config, "jetson", environ)
    assert secrets.venue_key() == ("key-by-variable", "secret-by-variable")
    assert secrets.store_password("witness") == "password-by-variable"
    assert secrets.store_password("jetson") is None
    assert secrets.telegram_token() is None


def test_missing_key_says_where_to_put_it(config: Config) -> None:
    """No key: one clear error, with the file and the variables."""
    path = secrets_path(config, "jetson", {})
    with pytest.raises(SecretsRefused, match="HOTSPARE_SECRET__VENUE__API_KEY") as refused:
        require_complete(load_secrets(config, "jetson", {}), config, path)
    assert str(path) in str(refused.value)


def test_prod_needs_the_token_of_the_chat_it_names(tmp_path: Path) -> None:
    """prod refuses missing alerts, also when only the token is missing; test does not."""
    key = '[venue]\napi_key = "key-of-jetson"\napi_secret = "secret-of-jetson"\n'
    limits = "".join(f"{name} = 1\n" for name in RiskConfig.model_fields)
    chat = f"\n[risk]\n{limits}[telegram]\nchat_id = 1\n"
    prod = THREE.replace('"test"', '"prod"\naccept_no_peer = true')
    prod = prod.replace('base_url = "http://192.168.1.12:8800"', "")
    (tmp_path / "secrets").mkdir(mode=0o700)
    write(tmp_path / "secrets" / "jetson.toml", key)
    for text, is_refused in ((THREE + chat, False), (prod + chat, True)):
        config = make_config(tmp_path, text)
        secrets = load_secrets(config, "jetson", {})
        with pytest.raises(SecretsRefused, match="token") if is_refused else nullcontext():
            require_complete(secrets, config, secrets_path(config, "jetson", {}))
    variable = {"HOTSPARE_SECRET__TELEGRAM__TOKEN": "123456:token"}
    path = secrets_path(config, "jetson", {})
    require_complete(load_secrets(config, "jetson", variable), config, path)


@pytest.mark.parametrize(
    "text",
    [
        '[venue]\napi_key = "key-of-jetson\n',
        '[venue]\napi_kee = "key-of-jetson"\n',
        '[venue]\napi_key = ["key-of-jetson"]\n',
        '[stores.nowhere]\npassword = "key-of-jetson"\n',
        '[venue]\napi_key = ""\n',
        'venue = "key-of-jetson"\n',
    ],
    ids=["cut line", "unknown key", "wrong type", "unknown store", "empty", "not a table"],
)
def test_a_broken_file_is_refused_without_showing_values(
    text: str, config: Config, tmp_path: Path
) -> None:
    """The TOML parser and pydantic would quote the value; we do not."""
    write(tmp_path / "secrets" / "jetson.toml", text)
    with pytest.raises(SecretsRefused) as caught:
        load_secrets(config, "jetson", {})
    assert "key-of-jetson" not in caught.value.render()
    assert "→" in caught.value.render()
    assert caught.value.__cause__ is None


def test_what_cannot_be_read_is_refused(config: Config, tmp_path: Path) -> None:
    """Something unreadable is not the same as no file."""
    (tmp_path / "secrets" / "jetson.toml").mkdir(mode=0o700)
    with pytest.raises(SecretsRefused, match="cannot be read"):
        load_secrets(config, "jetson", {})


@pytest.mark.parametrize(
    "text",
    [
        "token 123456789:AAFakeFakeFakeFakeFakeFake was refused",
        "GET /api/v3/order?symbol=BTCUSDT&signature=0a1b2c3d4e5f failed",
        "headers {'X-MBX-APIKEY': 'abcdefgh12345678'}",
        "redis://user:hunter2hunter@192.168.1.12:6379",
        'api_secret = "abcdefghijk"',
        "the value key-of-jetson in the middle",
    ],
)
def test_what_looks_like_a_secret_is_taken_out(text: str) -> None:
    """Known values and known shapes both go; the rest of the line stays readable."""
    clean = redact(text, {"key-of-jetson"})
    assert MASK in clean
    for word in ("AAFake", "0a1b2c", "abcdefgh", "hunter2", "key-of-jetson"):
        assert word not in clean


def test_ordinary_text_is_left_alone() -> None:
    """Redaction must not eat order ids, symbols, prices and times."""
    text = "order h93k800007go00003o BTC/USDT 64000.10 at 12:00:00, error -2010 token bucket"
    assert redact(text, {"key-of-jetson"}) == text


UUID_URL = "https://hc-ping.com/8f3c1f0e-5d0b-4c39-9d2a-0f6b7a1c2d3e"
KUMA_URL = "https://kuma.example/api/push/kPushToken01?status=up&msg=OK&ping="


def test_dead_man_urls_are_secrets_in_every_form(config: Config, tmp_path: Path) -> None:
    """Whoever has one can keep the alarm quiet; the query is rewritten before it is sent."""
    text = f'{FILE}[deadman]\ncluster = "{UUID_URL}"\nnode = "{KUMA_URL}"\n'
    write(tmp_path / "secrets" / "jetson.toml", text)
    secrets = load_secrets(config, "jetson", {})
    assert secrets.deadman_urls() == {"cluster": UUID_URL, "node": KUMA_URL}
    said = f"{UUID_URL}/fail and {KUMA_URL.partition('?')[0]}?status=down&msg=x&ping="
    shown = redact(said, secrets.all_values())
    assert "8f3c1f0e" not in shown
    assert "kPushToken01" not in shown
    assert "8f3c1f0e" not in f"{secrets!r} {secrets.model_dump_json()}"


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ('cluster = "hc-ping.com/8f3c1f0e"', "deadman.cluster is not an address"),
        ('node = "ftp://kuma.example/api/push/kPushToken01"', "deadman.node is not an address"),
        ('node = "https://a:b@kuma.example/8f3c1f0e"', "deadman.node is not an address"),
        ('node = "https://kuma.example/8f3c1f0e x"', "deadman.node is not an address"),
        (f'cluster = "{UUID_URL}"\nnode = "{UUID_URL}"', "are the same URL"),
    ],
)
def test_dead_man_url_that_cannot_work_is_refused_without_showing_it(
    lines: str, says: str, config: Config, tmp_path: Path
) -> None:
    """One URL for both would hide that nobody trades behind the standby's pings."""
    write(tmp_path / "secrets" / "jetson.toml", f"[deadman]\n{lines}\n")
    with pytest.raises(SecretsRefused, match=says) as caught:
        load_secrets(config, "jetson", {})
    assert "8f3c1f0e-" not in caught.value.render()
    assert "kPushToken01" not in caught.value.render()
