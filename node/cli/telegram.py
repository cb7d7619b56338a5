"""nodectl telegram: find the chat, send one test message."""

import asyncio
from typing import Annotated

import typer

from node.cli.common import (
    ConfigOption,
    NodeOption,
    ProfileOption,
    find_node_id,
    open_config,
    open_secrets,
    say,
    wall_ms,
    who_asks,
)
from node.config import Config
from node.errors import CommandRefused
from node.secrets import Secrets

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Set up alerts.")
WaitOption = Annotated[int, typer.Option("--wait", min=5, help="Seconds to wait for a message.")]


@app.callback()
def group() -> None:
    """Set up alerts."""


@app.command("test")
def send_test_message(
    config: ConfigOption = None,
    node: NodeOption = None,
    profile: ProfileOption = None,
    wait: WaitOption = 60,
) -> None:
    """Find the chat id (write to the bot while it waits) and send one test message.

    Exit codes: 0 delivered · 1 not delivered, or nobody wrote · 4 mend configuration or secrets.
    """
    settings = open_config(config, profile)
    node_id = find_node_id(settings, node)
    secrets = open_secrets(settings, node_id)
    asyncio.run(_test(settings, secrets, node_id, wait))


async def _test(config: Config, secrets: Secrets, node_id: str, wait_s: int) -> None:
    from alerts.find_chat import SearchState, find_chats, send_test  # noqa: PLC0415
    from alerts.ports import Delivery, DeliveryState  # noqa: PLC0415
    from alerts.telegram import TelegramApi  # noqa: PLC0415  (0.3 s: only when asked for)

    token = secrets.telegram_token()
    if token is None:
        raise CommandRefused(
            f"no telegram.token is in secrets/{node_id}.toml",
            mend="make a bot with @BotFather and put its token there",
        )
    api = TelegramApi(token=token, base_url=config.telegram.api_url.rstrip("/") + "/bot")
    try:
        name = await api.name()
        if isinstance(name, Delivery):
            raise CommandRefused(f"the bot cannot be used: {name.reason}", mend="check the token")
        chat_id = config.telegram.chat_id
        if chat_id is None:
            say(f"write something to @{name.user_name} now (or add it to a group and write there)")
            search = await find_chats(api, wait_s=wait_s)
            if search.state is not SearchState.FOUND:
                mend = {
                    SearchState.NOBODY_WROTE: "write to the bot and run this again",
                    SearchState.CONFLICT: "a running node listens with this token: stop it first",
                    SearchState.FAILED: "see the reason above",
                    SearchState.FOUND: "",
                }[search.state]
                raise CommandRefused(f"no chat was found: {search.reason}", mend=mend)
            chat = search.chats[-1]
            chat_id = chat.chat_id
            say(f"found {chat.title}: put this into cluster.toml on both boxes\n\n[telegram]")
            say(f"chat_id = {chat_id}")
            if chat.user_id is not None:
                say(f"allowed_user_ids = [{chat.user_id}]  # {chat.user_name}: may send commands")
        sent = await send_test(
            api,
            chat_id=str(chat_id),
            cluster=config.cluster_id,
            node_id=node_id,
            by=who_asks(),
            wall_ms=wall_ms(),
        )
        if sent.state is not DeliveryState.DELIVERED:
            raise CommandRefused(
                f"the message was not delivered: {sent.reason}",
                mend="`nodectl doctor` says what is wrong with bot, chat or network",
            )
        say("\na test message was delivered; look at your phone")
    finally:
        await api.close()
