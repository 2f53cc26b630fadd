"""A simulated exchange: a local server that speaks Binance USD-M futures' public REST and WebSocket protocol.

Alone: `python -m flashcur.services.simulator --port 9900 --symbols 500 --seed 1`. Then, for example::

    curl localhost:9900/fapi/v1/ticker/24hr?symbol=BTCUSDT
    curl localhost:9900/_control/state
    curl 'localhost:9900/_control/last?symbol=BTCUSDT&kind=ticker&limit=5'
    curl localhost:9900/_control/volume_spike -d '{"symbol": "SUIUSDT", "ratio": 5}'
    curl localhost:9900/_control/silence -d '{"kind": "mark", "seconds": 30}'
    curl localhost:9900/_control/clear -d '{}'

In a program: `SimulatedExchange` in the running event loop (tests), `SimulatorProcess` in a process of its own (demo
mode). What can be broken stands in `faults.py`; `control.py` offers the same over HTTP.
"""

from flashcur.services.simulator.exchange import SimulatedExchange
from flashcur.services.simulator.process import SimulatorProcess

__all__ = ["SimulatedExchange", "SimulatorProcess"]
