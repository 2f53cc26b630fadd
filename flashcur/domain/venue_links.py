"""Where a contract is found elsewhere: its exchange's own page, and its chart at TradingView."""

from __future__ import annotations

from urllib.parse import quote

from flashcur.domain.exports import TRADINGVIEW_PREFIXES, ascii_name, tradingview_symbol

_PAGES = {
    "binanceusdm": "https://www.binance.com/en/futures/{symbol}",
    "bybit": "https://www.bybit.com/trade/usdt/{symbol}",
}


def exchange_page(exchange: str, symbol: str) -> str:
    """Address of the contract's page at an exchange (ccxt id); empty for one that is not known."""
    page = _PAGES.get(exchange)
    return "" if page is None else page.format(symbol=quote(symbol, safe=""))


def signal_links(exchange: str, symbol: str, kind: str, *, demo: bool) -> tuple[str, str]:
    """(the exchange's page, the chart) for a signal of that kind, empty where there is none: a simulated contract has
    neither, and one that was delisted no page."""
    if demo:
        return "", ""
    return "" if kind == "DELISTED" else exchange_page(exchange, symbol), tradingview_chart(exchange, symbol)


def tradingview_chart(exchange: str, symbol: str) -> str:
    """Address of the contract's chart; empty where TradingView has no name for it."""
    if exchange not in TRADINGVIEW_PREFIXES or not ascii_name(symbol):
        return ""
    return f"https://www.tradingview.com/chart/?symbol={quote(tradingview_symbol(exchange, symbol), safe='')}"
