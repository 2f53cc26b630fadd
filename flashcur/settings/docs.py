"""The settings as Markdown tables, one for each group, drawn from the settings themselves."""

from __future__ import annotations

from flashcur.settings.table import SETTINGS, Setting


def settings_markdown() -> str:
    """All groups, in the order of the settings, each with a heading and a table."""
    groups: dict[str, list[Setting[object]]] = {}
    for setting in SETTINGS:
        groups.setdefault(setting.group, []).append(setting)
    return "\n\n".join(_group_table(title, settings) for title, settings in groups.items())


def _group_table(title: str, settings: list[Setting[object]]) -> str:
    lines = [f"### {title}", "", "| name | default | meaning |", "| --- | --- | --- |"]
    for setting in settings:
        default = setting.default_doc or (f"`{setting.default}`" if setting.default else "unset")
        lines.append(f"| `{setting.name}` | {default} | {setting.meaning} |")
    return "\n".join(lines)
