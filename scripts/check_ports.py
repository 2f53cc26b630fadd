"""Say in one line which port is taken, before minutes are spent on a build.

python scripts/check_ports.py NAME=PORT …      (NAME: the variable that chooses another port)
"""

from __future__ import annotations

import errno
import socket
import sys


def main(arguments: list[str]) -> None:
    for argument in arguments:
        name, _, port = argument.partition("=")
        if not port.isdigit() or not 0 < int(port) < 65536:
            raise SystemExit(f"{name}: expected a port from 1 to 65535, was {port!r}")
        if is_taken(int(port)):
            raise SystemExit(f"Port {port} is in use: stop what listens there, or choose another one with {name}=…")


def is_taken(port: int) -> bool:
    for family, host in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        try:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind((host, port))
        except OSError as error:
            # A machine without IPv6 refuses the family or the address, which says nothing about the port.
            if family == socket.AF_INET or error.errno == errno.EADDRINUSE:
                return True
    return False


if __name__ == "__main__":
    main(sys.argv[1:])
