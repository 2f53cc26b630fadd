"""The tables. Importing this package makes all of them known to `metadata`."""

from flashcur.models.account import Account, new_id
from flashcur.models.account_change import AccountChange
from flashcur.models.alert import AlertRecord
from flashcur.models.api_key import ApiKey
from flashcur.models.audit_event import AuditEvent
from flashcur.models.base import UtcDateTime, metadata
from flashcur.models.billing import (
    BillingChange,
    BillingCustomer,
    BillingDispute,
    BillingEvent,
    BillingInvoice,
    BillingRefund,
    BillingSubscription,
    PlanGrant,
)
from flashcur.models.delivery import Delivery, DeliveryStep, Destination, PlacePause, ProviderEvent, Suppression
from flashcur.models.hour_candle import HourCandle
from flashcur.models.instrument_event import InstrumentEvent
from flashcur.models.job_run import JobRun
from flashcur.models.known_past import FundingPayment, InstrumentSet, SignalStatistics
from flashcur.models.login_session import LoginSession
from flashcur.models.mail_token import MailToken
from flashcur.models.mark_frame import MarkFrame
from flashcur.models.operator_alarm import OperatorAlarm
from flashcur.models.rate_limit import RateLimit
from flashcur.models.rule import AlertSettings, InputCheckpoint, PastRequest, PastSeries, RuleDay, RuleRecord
from flashcur.models.second_factor import PendingSignIn, RecoveryCode, SecondFactor
from flashcur.models.signal_record import SignalEpisode, SignalOutcome, SignalRecord
from flashcur.models.silence_day import SilenceDay
from flashcur.models.wallet import Wallet, WalletChallenge
from flashcur.models.watchlist import Watchlist, WatchlistItem

__all__ = [
    "Account",
    "AccountChange",
    "AlertRecord",
    "AlertSettings",
    "ApiKey",
    "AuditEvent",
    "BillingChange",
    "BillingCustomer",
    "BillingDispute",
    "BillingEvent",
    "BillingInvoice",
    "BillingRefund",
    "BillingSubscription",
    "Delivery",
    "DeliveryStep",
    "Destination",
    "FundingPayment",
    "HourCandle",
    "InputCheckpoint",
    "InstrumentEvent",
    "InstrumentSet",
    "JobRun",
    "LoginSession",
    "MailToken",
    "MarkFrame",
    "OperatorAlarm",
    "PastRequest",
    "PastSeries",
    "PendingSignIn",
    "PlacePause",
    "PlanGrant",
    "ProviderEvent",
    "RateLimit",
    "RecoveryCode",
    "RuleDay",
    "RuleRecord",
    "SecondFactor",
    "SignalEpisode",
    "SignalOutcome",
    "SignalRecord",
    "SignalStatistics",
    "SilenceDay",
    "Suppression",
    "UtcDateTime",
    "Wallet",
    "WalletChallenge",
    "Watchlist",
    "WatchlistItem",
    "metadata",
    "new_id",
]
