"""Messages that leave the machine: an outbox in the database, texts that are frozen in it, and the ways out.

Who causes a mail of an account calls `enqueue` in the transaction that causes it, who causes any other message
`outbox.write`; `engine.delivery` does the rest. Importing this package does not import sendgrid: `make_sender` does,
when it is configured.
"""

from flashcur.services.notify.account_mail import enqueue
from flashcur.services.notify.port import MailSender
from flashcur.services.notify.senders import describe, mail_folder, make_sender
from flashcur.services.notify.templates import TEMPLATES, Rendered, render

__all__ = ["TEMPLATES", "MailSender", "Rendered", "describe", "enqueue", "mail_folder", "make_sender", "render"]
