"""Taking secrets out of text before it is written anywhere.

Pure. Two nets: the values this node knows to be secret, and the patterns that secrets have, for
those it does not know (a token pasted into the wrong field, a signed query string in an error).
"""

import re
from collections.abc import Iterable

MASK = "[redacted]"
SHORTEST = 4  # shorter values would blank out ordinary words; secrets.py refuses them anyway

PATTERNS = (
    re.compile(r"\b\d{5,12}:[A-Za-z0-9_-]{20,}"),  # Telegram bot token
    re.compile(r"(?i)(?<=signature=)[A-Za-z0-9%+/=_-]+"),  # Binance: query string
    re.compile(r"(?i)(?<=listenkey=)[A-Za-z0-9]+"),
    re.compile(r"(?i)(?<=x-mbx-apikey)([\"']?\s*[:=]\s*[\"']?)[A-Za-z0-9_-]{8,}"),
    re.compile(r"(?i)\b(api_?key|api_?secret|secret|password|token)([\"']?\s*[:=]\s*[\"']?)"
               r"[^\s\"',&}]{4,}"),
    re.compile(r"(?<=://)[^\s/:@]*:[^\s/@]+(?=@)"),  # user:password@ in an address
)  # fmt: skip


def redact_patterns(text: str) -> str:
    """Return the text without what looks like a secret."""
    for pattern in PATTERNS:
        text = pattern.sub(MASK, text)
    return text


def redact(text: str, secret_values: Iterable[str]) -> str:
    """Return the text without the given values and without what looks like a secret."""
    for value in sorted(secret_values, key=len, reverse=True):
        if len(value) >= SHORTEST:
            text = text.replace(value, MASK)
    return redact_patterns(text)
