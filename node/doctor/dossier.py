"""The page that is sent in: sections as Markdown, with secrets taken out and names if asked.

Pure. Rules of this file: every text goes through `take_out` as a whole and last, so that no section
can forget it; a secret is looked for in each form in which a program may have written it. Masked
names stay apart: one address is one mask throughout.
"""

import html
import ipaddress
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from node.redact import MASK, SHORTEST, redact_patterns

# A path piece of a dead-man URL as long as this is what makes it secret (a UUID, a token).
SECRET_PIECE = 8
SECTION_CHARS_MAX = 60_000
_WRAP = r"(?:[ \t]*\n[ \t]*)?"
_ADDRESS = re.compile(r"(?<![\w.:])[0-9A-Fa-f:.]*[.:][0-9A-Fa-f:.]*(?![\w])")
_MAC = re.compile(r"\b(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}\b")
_HOME = re.compile(r"(/home/|/Users/)[^/\s\"']+")
_IDS = re.compile(
    r"\b(account|account_id|uid|chat_id|user_id|allowed_user_ids)"
    r"([\"']?\s*[:=]\s*[\"'\[]?\s*)-?[\w-]+(?:\s*,\s*-?\d+)*"
)
# In a file that should hold none: a line whose name says that it is one.
_NAMED_SECRET = re.compile(
    r"(?im)^(\s*[\w.-]*(?:key|secret|token|password)[\w.-]*\s*=\s*)(?!\s*$).+$"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One part of the page; `body` is plain text."""

    title: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What is masked on request: texts by what stands for them; and every address."""

    masks: Mapping[str, str]


def render_page(
    sections: Iterable[Section], *, secret_values: Iterable[str], names: Names | None
) -> str:
    """Return the page.

    Args:
        sections: in order.
        secret_values: everything that must not be in it.
        names: what to mask besides; None leaves names and addresses.
    """
    pieces = secret_pieces(secret_values)
    parts = ["# hotspare report\n"]
    for section in sections:
        # before it is cut, so that no half of a secret stays
        body = take_out(section.body.rstrip() or "(nothing)", pieces)
        if len(body) > SECTION_CHARS_MAX:
            body = "(the beginning is left out)\n" + body[-SECTION_CHARS_MAX:]
        fence = "`" * max(4, _longest_run(body) + 1)
        parts.append(f"## {section.title}\n\n{fence}text\n{body}\n{fence}\n")
    text = take_out("\n".join(parts), pieces)
    return text if names is None else mask_names(text, names)


def take_out(text: str, pieces: Iterable[str]) -> str:
    """Return the text without these, however they are written, also across a wrapped line."""
    for piece in sorted(pieces, key=len, reverse=True):
        text = re.sub(_WRAP.join(_written(char) for char in piece), MASK, text)
    return redact_patterns(text)


def secret_pieces(values: Iterable[str]) -> frozenset[str]:
    """Return each secret, and of a URL the parts that make it one."""
    found: set[str] = set()
    for value in values:
        found.add(value)
        if re.match(r"https?://", value):
            plain = value.partition("?")[0]
            found |= {plain, *(p for p in plain.split("/")[3:] if len(p) >= SECRET_PIECE)}
    return frozenset(piece for piece in found if len(piece) >= SHORTEST)


def _written(char: str) -> str:
    """Return a pattern for one character in plain text, a URL, JSON, HTML or a Python string."""
    if char.isspace():
        return r"(?:\s+|\+|%20|%0[AaDd]|\\[nrt])"
    if char.isascii() and char.isalnum():
        return char
    ways = {
        char,
        quote(char, safe=""),
        quote(char, safe="").lower(),
        json.dumps(char)[1:-1],
        html.escape(char),
        f"\\{char}",
    }
    return "(?:" + "|".join(re.escape(way) for way in sorted(ways, key=len, reverse=True)) + ")"


def hide_named_secrets(text: str) -> str:
    """Return a configuration's text without the values of names that sound secret."""
    return _NAMED_SECRET.sub(r"\1[hidden: its name sounds secret]", text)


def mask_names(text: str, names: Names) -> str:
    """Return the text with names, addresses and ids masked; what is alike stays alike."""
    for name in sorted(names.masks, key=len, reverse=True):
        if name:
            bounds = rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])"
            text = re.sub(bounds, names.masks[name], text, flags=re.IGNORECASE)
    text = _MAC.sub("[mac]", text)
    text = _HOME.sub(r"\1[user]", text)
    text = _IDS.sub(r"\1\2[id]", text)
    seen: dict[str, str] = {}

    def mask(found: re.Match[str]) -> str:
        token = found[0].rstrip(".:")
        rest = found[0][len(token) :]
        head, port = _without_port(token)
        try:
            address = ipaddress.ip_address(head)
        except ValueError:
            return found[0]
        if address.is_loopback or address.is_unspecified:
            return found[0]
        shown = seen.setdefault(str(address), f"[address {len(seen) + 1}]")
        return f"{shown}{port}{rest}"

    return _ADDRESS.sub(mask, text)


def _without_port(token: str) -> tuple[str, str]:
    head, colon, port = token.rpartition(":")
    if colon and head.count(":") == 0 and port.isdigit():
        return head, colon + port
    return token, ""


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall(r"`+", text)), default=0)
