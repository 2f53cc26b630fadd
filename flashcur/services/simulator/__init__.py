"""A simulated exchange: a local server that speaks Binance USD-M futures' public REST and WebSocket protocol."""

from flashcur.services.simulator.exchange import SimulatedExchange
from flashcur.services.simulator.process import SimulatorProcess

__all__ = ["SimulatedExchange", "SimulatorProcess"]
