"""What a state's vars are before anything was put into them."""

from __future__ import annotations

from typing import Any

import reflex as rx


def default_vars(state: type[rx.State]) -> dict[str, Any]:
    """Name to default of the vars that `state` itself declares; those it inherits and Reflex's own are left out."""
    return {name: field.default_value() for name, field in state.get_fields().items() if name in state.base_vars}
