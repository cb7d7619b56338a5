"""Configuration of the paper exchange: one JSON file, or a few flags for one symbol.

Rules of this file: unknown keys are errors that name the key; secrets come only from the accounts
file, which must not be readable by others; what is left out gets the default written here.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from pathlib import Path
from typing import Any

from exchange.paper.values import SymbolRules

TIMEFRAMES_MS: Mapping[str, int] = {
    "1m": 60_000,
    "3m": 180_000,
    "5m": 300_000,
    "15m": 900_000,
    "30m": 1_800_000,
    "1h": 3_600_000,
    "2h": 7_200_000,
    "4h": 14_400_000,
    "6h": 21_600_000,
    "8h": 28_800_000,
    "12h": 43_200_000,
    "1d": 86_400_000,
}
# Smallest order value by quote asset, about what the real venue asks; others get 5.
NOTIONAL_MIN: Mapping[str, str] = {"BTC": "0.0001", "ETH": "0.001", "BNB": "0.01"}


class ConfigError(Exception):
    """The configuration cannot be used; the message says what to change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolConfig:
    """One symbol and where its prices come from.

    Either `candles` (a CSV file) or `seed` (a random walk). `speed` is how many times faster than
    the clock candle time runs. `warmup` candles are already closed at the start. `is_rebased`
    moves a file's times so that its first live candle opens now. `depth_factor` times the mean
    candle volume is what the displayed market holds on each side. `spread_steps` is the distance
    of the first level from the last price. `volume` and `volatility` shape the walk.
    """

    symbol: str
    timeframe: str = "1m"
    candles: str | None = None
    seed: str | None = None
    speed: float = 1.0
    warmup: int = 200
    is_rebased: bool = False
    is_paused: bool = False
    start_price: str = "100"
    volatility: float = 0.002
    volume: str = "100"
    depth_factor: str = "1"
    spread_steps: int = 1
    price_step: str | None = None
    amount_step: str = "0.0001"
    amount_min: str | None = None
    amount_max: str = "100000"
    market_amount_max: str = "10000"
    notional_min: str | None = None
    notional_filter: str = "NOTIONAL"
    price_factor_up: str = "5"
    price_factor_down: str = "0.2"
    open_orders_max: int = 200

    def __post_init__(self) -> None:
        """Refuse what cannot run."""
        if self.symbol.count("/") != 1:
            raise ConfigError(f"symbol {self.symbol!r}: write it as BASE/QUOTE, like ETH/BTC")
        if self.timeframe not in TIMEFRAMES_MS:
            known = " ".join(TIMEFRAMES_MS)
            raise ConfigError(f"{self.symbol}: timeframe {self.timeframe!r} is none of {known}")
        if (self.candles is None) == (self.seed is None):
            raise ConfigError(f"{self.symbol}: give either candles (a file) or seed (a walk)")
        if self.speed <= 0 or self.warmup < 1 or self.spread_steps < 1:
            raise ConfigError(f"{self.symbol}: speed, warmup and spread_steps must be positive")

    def rules(self, first_price: Decimal) -> SymbolRules:
        """Return the filters, with a price step that suits the price where none is given."""
        base, quote = self.symbol.split("/")
        exponent = min(-2, math.floor(math.log10(first_price)) - 4)
        price_step = Decimal(self.price_step or Decimal(1).scaleb(exponent))
        amount_step = Decimal(self.amount_step)
        return SymbolRules(
            symbol=base + quote,
            base=base,
            quote=quote,
            price_step=price_step,
            amount_step=amount_step,
            amount_min=Decimal(self.amount_min or amount_step),
            amount_max=Decimal(self.amount_max),
            market_amount_max=Decimal(self.market_amount_max),
            price_min=price_step,
            price_max=Decimal(1_000_000),
            notional_min=Decimal(self.notional_min or NOTIONAL_MIN.get(quote, "5")),
            notional_filter=self.notional_filter,
            price_factor_up=Decimal(self.price_factor_up),
            price_factor_down=Decimal(self.price_factor_down),
            open_orders_max=self.open_orders_max,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyConfig:
    """One API key: a name for logs, the key, its secret, and whether it may trade.

    `can_withdraw` is only told: there is nothing to withdraw here.
    """

    name: str
    key: str
    secret: str
    can_trade: bool = True
    can_withdraw: bool = False

    def __repr__(self) -> str:
        """Leave the secret out of every log and error."""
        return f"KeyConfig(name={self.name!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountConfig:
    """One account with its keys and what it starts with."""

    name: str
    uid: int
    balances: tuple[tuple[str, Decimal], ...]
    keys: tuple[KeyConfig, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperConfig:
    """Everything one process needs. Fees are basis points of what is received."""

    state_dir: Path
    accounts: tuple[AccountConfig, ...]
    symbols: tuple[SymbolConfig, ...]
    host: str = "127.0.0.1"
    port: int = 0
    maker_fee_bps: str = "10"
    taker_fee_bps: str = "10"
    weight_limit: int = 6000
    ban_after: int = 20
    ban_s: int = 120
    order_limit_10s: int = 100
    order_limit_day: int = 200_000
    has_remote_admin: bool = False

    def __post_init__(self) -> None:
        """Refuse a venue without symbols or with double names."""
        if not self.symbols:
            raise ConfigError("no symbols are configured")
        keys = [key.key for account in self.accounts for key in account.keys]
        if len(set(keys)) != len(keys):
            raise ConfigError("two API keys are the same; each node needs its own")


def load_config(path: Path) -> PaperConfig:
    """Read a configuration file; relative paths are relative to it.

    Raises:
        ConfigError: with what to change.
    """
    raw = _read_object(path)
    base = path.parent
    try:
        accounts = load_accounts(base / raw.pop("accounts"))
        state_dir = base / raw.pop("state_dir")
        symbols = tuple(_symbol(dict(entry), base) for entry in raw.pop("symbols"))
    except KeyError as e:
        raise ConfigError(f"{path}: {e.args[0]} is missing") from e
    _check_keys(raw, PaperConfig, str(path))
    return PaperConfig(state_dir=state_dir, accounts=accounts, symbols=symbols, **raw)


def _symbol(raw: dict[str, Any], base: Path) -> SymbolConfig:
    _check_keys(raw, SymbolConfig, f"symbol {raw.get('symbol')}")
    if raw.get("candles"):
        raw["candles"] = str(base / raw["candles"])
    if raw.get("seed") is not None:
        raw["seed"] = str(raw["seed"])
    return SymbolConfig(**raw)


def load_accounts(path: Path) -> tuple[AccountConfig, ...]:
    """Read the accounts file, which holds the secrets.

    Raises:
        ConfigError: it is missing, not such a file, or others can read it.
    """
    raw = _read_object(path)
    if path.stat().st_mode & 0o077:
        raise ConfigError(f"{path} holds secrets and others can read it: chmod 600 {path}")
    try:
        return tuple(
            AccountConfig(
                name=str(account["name"]),
                uid=int(account["uid"]),
                balances=tuple((a, Decimal(v)) for a, v in account["balances"].items()),
                keys=tuple(KeyConfig(**key) for key in account["keys"]),
            )
            for account in raw["accounts"]
        )
    except (KeyError, TypeError, ValueError, ArithmeticError) as e:
        # The text of the error may show a part of the file, so only its kind is told.
        raise ConfigError(f"{path}: not an accounts file ({type(e).__name__})") from None


def _read_object(path: Path) -> dict[str, Any]:
    try:
        raw = json.loads(path.read_text())
    except (OSError, ValueError) as e:
        raise ConfigError(f"{path}: {type(e).__name__}") from e
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: must be a JSON object")
    return raw


def _check_keys(raw: Mapping[str, Any], kind: type, where: str) -> None:
    known = {field.name for field in fields(kind)}
    unknown = sorted(set(raw) - known)
    if unknown:
        raise ConfigError(f"{where}: unknown keys: {', '.join(unknown)}")
