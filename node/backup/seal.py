"""Secrets in a backup: encrypted with a passphrase, and never there otherwise.

scrypt makes the key, AES-256-GCM seals; cluster and node are sealed along, so that a sealed part
moved into another backup does not open. The passphrase comes from a prompt, a file descriptor or
the environment, never from a command line.
"""

import base64
import json
import secrets
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from node.errors import BackupRefused

PASSPHRASE_MIN: Final = 12
_FORMAT: Final = 1
# 64 MiB and about a second on a Nano; half of it makes guessing half as dear.
_SCRYPT: Final = {"n": 2**16, "r": 8, "p": 1}
_N_MAX: Final = 2**20  # a file must not make this box run out of memory
_WORK_MAX: Final = 16
_KEY_BYTES: Final = 32
_SALT_BYTES: Final = 16
_NONCE_BYTES: Final = 12


def seal(content: bytes, passphrase: str, *, cluster_id: str, node_id: str) -> bytes:
    """Return the content encrypted, as JSON.

    Raises:
        BackupRefused: the passphrase is too short.
    """
    refuse_short(passphrase)
    salt, nonce = secrets.token_bytes(_SALT_BYTES), secrets.token_bytes(_NONCE_BYTES)
    key = _key(passphrase, salt, _SCRYPT)
    sealed = AESGCM(key).encrypt(nonce, content, _context(cluster_id, node_id))
    body = {
        "v": _FORMAT,
        "kdf": "scrypt",
        **_SCRYPT,
        "cipher": "AES-256-GCM",
        "salt": base64.b64encode(salt).decode(),
        "nonce": base64.b64encode(nonce).decode(),
        "sealed": base64.b64encode(sealed).decode(),
    }
    return json.dumps(body, indent=1).encode()


def refuse_short(passphrase: str) -> None:
    """Raise BackupRefused for a passphrase that could be guessed."""
    if len(passphrase) < PASSPHRASE_MIN:
        raise BackupRefused(
            f"the passphrase has fewer than {PASSPHRASE_MIN} characters\n    → use a sentence; "
            "whoever has the file can try passphrases for as long as he likes"
        )


def unseal(sealed: bytes, passphrase: str, *, cluster_id: str, node_id: str) -> bytes:
    """Return what was sealed.

    Raises:
        BackupRefused: another passphrase, or damaged; which of the two cannot be told.
    """
    try:
        body = json.loads(sealed)
        if body["v"] != _FORMAT:
            raise BackupRefused(
                f"its secrets are sealed in format {body['v']}, this release opens {_FORMAT}\n"
                "    → restore them with the release that made the backup"
            )
        key = _key(passphrase, base64.b64decode(body["salt"]), body)
        nonce, content = base64.b64decode(body["nonce"]), base64.b64decode(body["sealed"])
        return AESGCM(key).decrypt(nonce, content, _context(cluster_id, node_id))
    except InvalidTag:
        raise BackupRefused(
            "its secrets do not open: another passphrase, or another node's\n    → try again; "
            "without it the rest of the backup is still good, and `nodectl init` writes new secrets"
        ) from None
    except (ValueError, KeyError, TypeError, OverflowError):
        raise BackupRefused("its sealed secrets are damaged\n    → take another backup") from None


def _key(passphrase: str, salt: bytes, costs: Any) -> bytes:
    n, r, p = int(costs["n"]), int(costs["r"]), int(costs["p"])
    if not (1 < n <= _N_MAX and 1 <= r <= _WORK_MAX and 1 <= p <= _WORK_MAX):
        raise ValueError("costs")
    return Scrypt(salt=salt, length=_KEY_BYTES, n=n, r=r, p=p).derive(passphrase.encode())


def _context(cluster_id: str, node_id: str) -> bytes:
    return f"hotspare backup {_FORMAT} {cluster_id} {node_id}".encode()
