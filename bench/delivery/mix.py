"""Which messages a second of alerts causes, and what each channel may take."""

from __future__ import annotations

from flashcur.services.notify.discord import DiscordChannel
from flashcur.services.notify.email import EmailChannel
from flashcur.services.notify.slack import SlackChannel
from flashcur.services.notify.sms import SmsChannel
from flashcur.services.notify.telegram import TelegramChannel
from flashcur.services.notify.web_push import WebPushChannel
from flashcur.services.notify.webhook import WebhookChannel

RATES = {
    each.name: each.rate
    for each in (
        EmailChannel,
        WebPushChannel,
        SmsChannel,
        TelegramChannel,
        DiscordChannel,
        SlackChannel,
        WebhookChannel,
    )
}
"""Messages a second that each channel takes of us in all, as the product has it: what its provider documents."""
A_SECOND = 200
"""Messages a second of all channels, each by its share of what they take."""
ANSWER_S = 0.15
"""What a provider takes for an answer."""
HANGS = "webhook"


def share(channel: str) -> float:
    """Of all messages, those of one channel."""
    return RATES[channel] / sum(RATES.values())


class Mix:
    """Deals out channels to alerts, so that each channel gets its share at an even pace."""

    def __init__(self, an_alert: float) -> None:
        """`an_alert`: messages of one alert, on average."""
        self._an_alert = an_alert
        # Not all in step.
        self._credit = {name: number / len(RATES) for number, name in enumerate(RATES)}

    def deal(self) -> list[str]:
        """The channels of the next alert; one comes twice where two of its places are to be reached."""
        dealt: list[str] = []
        for name in RATES:
            self._credit[name] += self._an_alert * share(name)
            dealt += [name] * int(self._credit[name])
            self._credit[name] %= 1.0
        return dealt
