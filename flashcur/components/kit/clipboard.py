"""What copies something, and what is said of it."""

from __future__ import annotations

import json

import reflex as rx

from flashcur.components.kit import browser

COPIED = "Copied."
NOT_COPIED = "The browser did not allow copying: select the text and copy it."
NO_LINK_COPIED = "The browser did not allow copying: open the link and copy its address."
NO_FILE_COPIED = "The browser did not allow copying: export the file instead."


def copy_text(text: rx.Var[str]) -> rx.Var[object]:
    """A client-side handler that copies `text`."""
    said = f"{json.dumps(COPIED)}, {json.dumps(NOT_COPIED)}"
    return browser.handler(f"() => copyPlain({text!s}, {said})", text, clipboard="copyPlain")


def copy_link(path: rx.Var[str], *about: rx.Var[object]) -> rx.Var[object]:
    """The same for the address of a page of ours, which stands nowhere on this one; `about`: what `path` is part of."""
    said = f"{json.dumps(COPIED)}, {json.dumps(NO_LINK_COPIED)}"
    call = f"() => copyPlain(window.location.origin + {path!s}, {said}, {path!s})"
    return browser.handler(call, path, *about, clipboard="copyPlain")


def copy_file(address: rx.Var[str]) -> rx.Var[object]:
    """The same for a list of the server's, which says itself what it is."""
    return browser.handler(f"() => copyFile({address!s}, {json.dumps(NO_FILE_COPIED)})", address, clipboard="copyFile")
