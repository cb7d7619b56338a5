"""Looks at the venue and at Telegram for the doctor: once, bounded, without sending (a shell).

Rules of this file: every outcome is a value (reach.py judges); no text that leaves it holds a
secret. ccxt and the Telegram library are imported here only when they are needed: seconds on a
slow board.
"""

import asyncio
import time

from node.config_model import Config
from node.doctor.reach import How, TelegramLook, VenueLook
from node.errors import SecretsRefused
from node.redact import redact
from node.secrets import Secrets


def look_at_venue(config: Config, secrets: Secrets) -> VenueLook:
    """Look at the venue with this box's key: signed, reading only."""
    from exchange.errors import ConfigurationRefused, VenueError, VenueRefused  # noqa: PLC0415
    from node.venue_settings import venue_settings  # noqa: PLC0415

    try:
        settings = venue_settings(config, secrets)
    except SecretsRefused:
        return VenueLook(how=How.SKIPPED, reason="none is in the secrets here")
    except ConfigurationRefused as error:
        return VenueLook(how=How.REFUSED, reason=_clean(error, secrets))
    from exchange.key_reader import look_with_key  # noqa: PLC0415  (imports ccxt)

    try:
        key = asyncio.run(look_with_key(settings, wall_ms=_wall_ms))
    except (VenueRefused, ConfigurationRefused) as error:
        return VenueLook(how=How.REFUSED, reason=_clean(error, secrets))
    except (VenueError, OSError) as error:
        return VenueLook(how=How.SILENT, reason=_clean(error, secrets))
    return VenueLook(how=How.SEEN, key=key)


def look_at_telegram(config: Config, secrets: Secrets) -> TelegramLook:
    """Ask who the bot is and what the chat is called; nothing is written there."""
    token, chat_id = secrets.telegram_token(), config.telegram.chat_id
    if chat_id is None:
        return TelegramLook(how=How.SKIPPED, reason="no chat is configured: nobody is told")
    if token is None:
        return TelegramLook(how=How.REFUSED, reason="no telegram.token is in the secrets here")
    return asyncio.run(_ask(config, token, str(chat_id)))


async def _ask(config: Config, token: str, chat_id: str) -> TelegramLook:
    from alerts.ports import Delivery, DeliveryState  # noqa: PLC0415
    from alerts.telegram import TelegramApi  # noqa: PLC0415  (0.3 s: only when asked for)

    def failed(said: Delivery, *, is_about_chat: bool) -> TelegramLook:
        is_final = said.state in {DeliveryState.GONE_PERMANENTLY, DeliveryState.MIGRATED}
        how = How.REFUSED if is_final else How.SILENT
        return TelegramLook(how=how, reason=said.reason, is_about_chat=is_about_chat)

    api = TelegramApi(token=token, base_url=config.telegram.api_url.rstrip("/") + "/bot")
    try:
        bot = await api.name()
        if isinstance(bot, Delivery):
            return failed(bot, is_about_chat=False)
        chat = await api.chat_name(chat_id)
        if isinstance(chat, Delivery):
            return failed(chat, is_about_chat=True)
    finally:
        await api.close()
    return TelegramLook(how=How.SEEN, bot=bot.user_name, chat=chat)


def _clean(error: Exception, secrets: Secrets) -> str:
    return redact(str(error) or type(error).__name__, secrets.all_values())


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000
