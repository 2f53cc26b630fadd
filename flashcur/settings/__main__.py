"""`python -m flashcur.settings`: print the tables of settings."""

from flashcur.settings.docs import settings_markdown

print(settings_markdown())
