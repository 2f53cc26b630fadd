"""An engine on the simulated exchange, for the tests of the engine role."""

from tests.support.running import exchange, live_environ, live_settings, running

__all__ = ["exchange", "live_environ", "live_settings", "running"]
