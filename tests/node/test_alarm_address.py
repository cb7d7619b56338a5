"""Whom to tell when the files that say so are the ones that are broken."""

from pathlib import Path

import pytest

from node.alarm_address import API_URL, find_address
from node.starts import Chat

TOKEN = "123456789:AAfoobarfoobarfoobarfoobarfoobar"
WHOLE = '[cluster]\nname = "home"\nprofile = "test"\n[nodes.jetson]\nlabel = "Jetson in the hall"\n'
TELEGRAM = "[telegram]\nchat_id = 42\n"
REMEMBERED = Chat(chat_id=7, api_url="http://10.0.0.9:8081")
SECRETS = f'[telegram]\ntoken = "{TOKEN}"\n[venue]\napi_key = "the-key-itself"\n'


def home(folder: Path, config: str | None, secrets: str | None = SECRETS) -> dict[str, str]:
    if config is not None:
        (folder / "cluster.toml").write_text(config, "utf-8")
    (folder / "secrets").mkdir(exist_ok=True)
    if secrets is not None:
        (folder / "secrets" / "jetson.toml").write_text(secrets, "utf-8")
    return {"HOTSPARE_CONFIG": str(folder / "cluster.toml")}


CONFIGURED = Chat(chat_id=42, api_url=API_URL)


@pytest.mark.parametrize(
    ("config", "chats"),
    [
        pytest.param(WHOLE + TELEGRAM, (CONFIGURED, REMEMBERED), id="whole"),
        pytest.param(WHOLE + TELEGRAM + "[oops\n", (CONFIGURED, REMEMBERED), id="not TOML"),
        pytest.param(WHOLE, (), id="nobody wants to be told"),
        pytest.param(WHOLE + '[telegram]\nchat_id = "x"\n', (REMEMBERED,), id="no number"),
        pytest.param("", (REMEMBERED,), id="emptied by a power cut"),
        pytest.param(None, (REMEMBERED,), id="gone"),
        pytest.param("\udcff".encode("utf-8", "surrogateescape").decode("latin-1"), (REMEMBERED,),
                     id="garbage"),
        pytest.param(WHOLE + TELEGRAM + 'api_url = "http://box:1"\n',
                     (Chat(chat_id=42, api_url="http://box:1"), REMEMBERED), id="own server"),
        pytest.param(WHOLE + TELEGRAM + 'api_url = "file:///etc/passwd"\n',
                     (CONFIGURED, REMEMBERED), id="no address of a server"),
    ],
)  # fmt: skip
def test_the_chat_is_found_in_what_is_left(
    tmp_path: Path, config: str | None, chats: tuple[Chat, ...]
) -> None:
    found = find_address(home(tmp_path, config), "jetson", REMEMBERED)
    assert found.chats == chats
    assert found.token == TOKEN


def test_overlay_and_environment_win_as_for_the_node(tmp_path: Path) -> None:
    environ = home(tmp_path, WHOLE + TELEGRAM)
    (tmp_path / "cluster.test.toml").write_text("[telegram]\nchat_id = 43\n")
    assert find_address(environ, "jetson", None).chats[0].chat_id == 43
    environ["HOTSPARE__TELEGRAM__CHAT_ID"] = "-44"
    assert find_address(environ, "jetson", None).chats[0].chat_id == -44


@pytest.mark.parametrize(
    ("secrets", "mode"),
    [(SECRETS, 0o644), (SECRETS + "oops = \n", 0o600)],
    ids=["others can read it", "not TOML"],
)
def test_the_token_is_found_in_a_file_that_the_node_refuses(
    tmp_path: Path, secrets: str, mode: int
) -> None:
    """The refusal is why it does not start; the token goes to the Bot API alone."""
    environ = home(tmp_path, WHOLE + TELEGRAM, secrets)
    (tmp_path / "secrets" / "jetson.toml").chmod(mode)
    found = find_address(environ, "jetson", None)
    assert found.token == TOKEN
    assert {TOKEN, "the-key-itself"} <= found.secret_values
    assert TOKEN not in repr(found)
    assert "the-key-itself" not in repr(found)


def test_without_secrets_the_environment_has_the_last_word(tmp_path: Path) -> None:
    environ = home(tmp_path, WHOLE + TELEGRAM, None)
    assert find_address(environ, "jetson", None).token == ""
    environ["HOTSPARE_SECRET__TELEGRAM__TOKEN"] = TOKEN
    assert find_address(environ, "jetson", None).token == TOKEN


def test_people_read_labels(tmp_path: Path) -> None:
    found = find_address(home(tmp_path, WHOLE), "jetson", None)
    assert (found.box, found.cluster) == ("Jetson in the hall", "test-home")
    found = find_address(home(tmp_path, ""), "jetson", None)
    assert (found.box, found.cluster) == ("jetson", "")
