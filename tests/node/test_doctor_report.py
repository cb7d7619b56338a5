"""nodectl doctor --report: it says much on the worst night, and never a secret."""

import json
import stat
from pathlib import Path
from urllib.parse import quote

import pytest

from node.crashes import Crash, CrashBook, render_book
from node.doctor.dossier import Names, Section, hide_named_secrets, mask_names, render_page
from tests.support.nodectl import run_nodectl
from tests.support.puppet_pair import PASSWORD, Puppets, wait_until
from tests.support.status_cases import THREE, make_config

# One of each kind that a cluster has, with every character that is written otherwise somewhere.
SECRETS = {
    "key": "venue-key-Aa1/+=zz",
    "secret": 'venue secret with "quotes" & <more>',
    "token": "987654321:AAtokenTOKENtokenTOKENtoken",
    "peer": "peer-key-of-both-boxes-0123456789+/=",
    "password": PASSWORD,
    "own": "pässword-of-one-störe",
    "release": "release-password-weaker",
    "pem": "-----BEGIN KEY-----\nMC4CAQAwBQYDK2VwBCIEIHRoaXNpc2E\n-----END KEY-----",
    "cluster": "https://hc-ping.com/11111111-2222-3333-4444-555555555555",
    "url": "https://kuma.example/api/push/PushTokenXY?status=up&msg=OK&ping=",
}
# What must not be seen: also the piece of each URL that makes it secret.
HIDDEN = (*SECRETS.values(), "11111111-2222-3333-4444-555555555555", "PushTokenXY")


def toml(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def secrets_text(store: str) -> str:
    s = {name: toml(value) for name, value in SECRETS.items()}
    return f"""
[venue]
api_key = {s["key"]}
api_secret = {s["secret"]}
[telegram]
token = {s["token"]}
[peer]
key = {s["peer"]}
[stores.default]
password = {s["password"]}
release_password = {s["pem"]}
[stores.{store}]
password = {s["own"]}
release_password = {s["release"]}
[deadman]
cluster = {s["cluster"]}
node = {s["url"]}
"""


def plant(home: Path, store: str, states: list[Path]) -> None:
    """Put every secret wherever a program or a person may have left it."""
    (home / "secrets").mkdir(exist_ok=True, mode=0o700)
    for node in ("jetson", "raspberrypi"):
        path = home / "secrets" / f"{node}.toml"
        text = secrets_text(store)
        if node == "raspberrypi":
            text = text.replace(SECRETS["url"], SECRETS["url"] + "other")
        path.write_text(text, "utf-8")
        path.chmod(0o600)
    everything = " ".join(SECRETS.values())
    crash = Crash(
        nonce="n", epoch=3, boot_id="b", at_boottime_s=1.0, at_wall_ms=1, how=everything,
        signature=quote(SECRETS["key"], safe=""),
    )  # fmt: skip
    for state in states:
        (state / "log").mkdir(parents=True)
        (state / "crashes.json").write_text(render_book(CrashBook(crashes=(crash,))))
        (state / "last-words.json").write_text(json.dumps({"run_id": "r", "text": everything}))
        lines = [
            {"ts": "t", "level": "info", "event": "node.ready", "account": "4711", "x": value}
            for secret in HIDDEN
            for value in (secret, quote(secret), f"GET https://x/?k={quote(secret, safe='')}")
        ]
        text = "\n".join(json.dumps(line, ensure_ascii=n % 2 == 0) for n, line in enumerate(lines))
        (state / "log" / "node.jsonl").write_text(text + "\n", "utf-8")


def assert_clean(page: str) -> None:
    flat = " ".join(page.split())
    joined = "".join(page.split())
    for secret in HIDDEN:
        assert secret not in flat
        assert quote(secret) not in flat
        assert quote(secret, safe="") not in flat
        assert json.dumps(secret)[1:-1] not in flat
        assert "".join(secret.split()) not in joined


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A cluster whose stores answer nobody."""
    text = THREE.replace("192.168.1.11", "127.0.0.1").replace("192.168.1.12", "127.0.0.2")
    text = text.replace("192.168.1.13", "127.0.0.3")
    text = text.replace("three-stores", "single-host").replace("\nhost =", "\nport = 9\nhost =")
    make_config(tmp_path, text)
    plant(tmp_path, "jetson", [tmp_path / "state" / n for n in ("jetson", "raspberrypi")])
    return tmp_path


def report(home: Path, *words: str) -> str:
    code, page = run_nodectl("doctor", "--report", "--quick", "-c", home / "cluster.toml", *words)
    assert code == 0, page
    return page


def test_with_dead_stores_the_page_has_every_part_and_no_secret(home: Path) -> None:
    page = report(home)
    for part in ("About", "Configuration", "Status", "Findings", "Last takeovers", "This box"):
        assert f"## {part}\n" in page
    assert "CANNOT TELL who trades" in page
    assert "too few stores answer" in page
    assert "node.ready" in page
    assert "venue.api_key: set" in page
    assert "[redacted]" in page
    assert_clean(page)


@pytest.mark.parametrize(
    "broken",
    ["[cluster\n", "", "[cluster]\nname = 3\n", "\x00\x01", "telegram = 'x'\n"],
    ids=["not TOML", "empty", "wrong values", "garbage", "another shape"],
)
def test_with_a_broken_configuration_the_page_says_what_is_wrong_and_shows_it(
    home: Path, broken: str
) -> None:
    """Secrets pasted into it under any name are taken out, known ones and others."""
    pasted = "\n".join(f"x{n} = {toml(value)}" for n, value in enumerate(SECRETS.values()))
    unknown = '[venue]\napi_secret = "nobody knows this one"\n'
    (home / "cluster.toml").write_text(broken + pasted + "\n" + unknown, "utf-8")
    page = report(home)
    assert "nothing was started" in page
    assert "cluster.toml as it is:" in page
    assert "node.ready" in page
    assert "knows this" not in page
    assert_clean(page)


def test_with_broken_secrets_they_are_taken_out_all_the_same(home: Path) -> None:
    """Not TOML, or readable by others: the file is refused, its values are known."""
    path = home / "secrets" / "jetson.toml"
    path.write_text("oops = \n" + secrets_text("jetson"), "utf-8")
    path.chmod(0o644)
    (home / "secrets" / "raspberrypi.toml").unlink()
    page = report(home)
    assert "others can read it" in page
    for secret in (SECRETS["key"], SECRETS["token"], SECRETS["peer"], SECRETS["password"]):
        assert secret not in page


def test_a_page_about_a_running_pair_is_clean_and_whole(pair: Puppets) -> None:
    """What nodes show on their board is wrapped at 80 columns: no secret hides in a line end."""
    home = pair.config.directory
    plant(home, "one", [])
    told = [f"{'x' * 60} {secret}" for secret in HIDDEN]
    pair.bodies = {n: {"warnings": told} for n in ("jetson", "raspberrypi")}
    pair.reasons = {"raspberrypi": told}
    wait_until(lambda: "cannot take over" in report(home))
    page = report(home)
    assert "jetson leads" in page
    assert_clean(page)


def test_the_file_is_its_owners_and_is_never_written_over(home: Path) -> None:
    target = home / "page.md"
    said = report(home, str(target))
    assert "read it before you send it" in said
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert_clean(target.read_text("utf-8"))
    code, said = run_nodectl("doctor", "--report", "--quick", target, "-c", home / "cluster.toml")
    assert (code, "is there already" in said) == (1, True)


def test_names_and_addresses_are_masked_on_request(home: Path) -> None:
    page = report(home, "--anonymous")
    for name in ("Jetson in the hall", "Pi in the attic", "raspberrypi", "test-home", "4711"):
        assert name not in page
    assert "[box 1]" in page
    assert "test-[cluster]" in page


@pytest.mark.parametrize(
    "words",
    [["--anonymous"], ["page.md"], ["--report", "--json"], ["--report", "--measure", "30s"]],
)
def test_what_does_not_go_together_is_wrong_usage(tmp_path: Path, words: list[str]) -> None:
    code, _ = run_nodectl("doctor", *words, "-c", tmp_path / "none.toml")
    assert code == 64


# --- the page itself ----------------------------------------------------------------------------


def page_of(body: str, *secrets: str) -> str:
    return render_page([Section(title="x", body=body)], secret_values=secrets, names=None)


@pytest.mark.parametrize(
    "body",
    ["a-long-secret", "a-long-\nsecret", "a-long-  \n    secret", "a-l\nong-secret",
     "x" * 60_000 + "a-long-secret"],
)  # fmt: skip
def test_a_secret_is_found_across_a_line_end_and_at_the_cut(body: str) -> None:
    page = page_of(body, "a-long-secret")
    assert "secret" not in page
    assert "a-l" not in page


def test_the_beginning_is_cut_after_secrets_are_out() -> None:
    """A cut in the middle of a secret would leave half of it."""
    body = "a-long-secret" + "y" * 59_995
    page = page_of(body, "a-long-secret")
    assert "cret" not in page
    assert "left out" in page


def test_a_body_cannot_end_its_fence() -> None:
    page = page_of("````\n# not a heading of ours")
    assert page.count("`````") == 2


def test_names_that_sound_secret_are_hidden_with_their_values() -> None:
    text = 'api_key = "abc"\nname = "home"\n  my.Token = 5 # x\nkeys = 1\n'
    hidden = hide_named_secrets(text)
    assert 'name = "home"' in hidden
    assert '"abc"' not in hidden
    assert "5 # x" not in hidden


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("store 192.168.1.11:6379 and 192.168.1.12, again 192.168.1.11.",
         "store [address 1]:6379 and [address 2], again [address 1]."),
        ("at 07:36:12 Redis 7.0.15 on 127.0.0.1:80", "at 07:36:12 Redis 7.0.15 on 127.0.0.1:80"),
        ("fe80::1 and 2001:db8::2", "[address 1] and [address 2]"),
        ("b8:27:eb:01:02:03", "[mac]"),
        ("/home/ada/bot/x", "/home/[user]/bot/x"),
        ('"account": "4711" chat_id = -100', '"account": "[id]" chat_id = [id]'),
        ("prod-attic, not attics", "prod-[cluster], not attics"),
    ],
)  # fmt: skip
def test_what_is_alike_stays_alike_under_its_mask(text: str, masked: str) -> None:
    assert mask_names(text, Names(masks={"attic": "[cluster]"})) == masked
