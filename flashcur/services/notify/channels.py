"""The registry: each channel that this server knows, configured or not."""

from __future__ import annotations

from collections.abc import Mapping

from flashcur.services.notify.channel import Channel
from flashcur.services.notify.dialling import Dialler
from flashcur.services.notify.discord import DiscordChannel
from flashcur.services.notify.email import EmailChannel
from flashcur.services.notify.slack import SlackChannel
from flashcur.services.notify.sms import SmsChannel
from flashcur.services.notify.telegram import TelegramApi, TelegramChannel
from flashcur.services.notify.web_push import WebPushChannel
from flashcur.services.notify.webhook import WebhookChannel
from flashcur.settings import Settings


def make_channels(settings: Settings, dialler: Dialler) -> Mapping[str, Channel]:
    """By name, as in `domain.plans`; one that is not configured says so in its `problem`.

    The app itself and a browser's tab are no such channels: nothing leaves the machine for them. Who only renders needs
    no event loop; who sends closes the `dialler` in its own.
    """
    channels: tuple[Channel, ...] = (
        EmailChannel(settings, dialler),
        WebPushChannel(settings, dialler),
        SmsChannel(settings, dialler),
        TelegramChannel(TelegramApi(settings, dialler)),
        DiscordChannel(settings, dialler),
        SlackChannel(settings, dialler),
        WebhookChannel(settings, dialler),
    )
    return {channel.name: channel for channel in channels}
