"""Writing the accounts file: API keys and secrets, readable by their owner only."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperKey:
    """One API key of an account file."""

    name: str
    key: str
    secret: str = field(repr=False)
    can_trade: bool = True
    can_withdraw: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperAccount:
    """One account of an account file."""

    name: str
    uid: int
    balances: Mapping[str, str]
    keys: Sequence[PaperKey]


def write_accounts(path: Path, accounts: Sequence[PaperAccount]) -> Path:
    """Write the accounts file, readable by its owner only from its first moment on."""
    content = {
        "accounts": [
            {
                "name": account.name,
                "uid": account.uid,
                "balances": dict(account.balances),
                "keys": [
                    {
                        "name": key.name,
                        "key": key.key,
                        "secret": key.secret,
                        "can_trade": key.can_trade,
                        # left out where it is false: the release before does not know it
                        **({"can_withdraw": True} if key.can_withdraw else {}),
                    }
                    for key in account.keys
                ],
            }
            for account in accounts
        ]
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(content, file, indent=1)
    return path
