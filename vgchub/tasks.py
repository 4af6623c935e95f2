"""Jobs that belong to no app."""

from contextlib import suppress

from celery import shared_task
from post_office.mail import send_queued_mail_until_done


@shared_task(expires=60)
def send_mail() -> None:
    """Send what lies in the mail queue. One process does it; another finds it locked and leaves it to that one."""
    with suppress(FileExistsError):  # two wanted the lock in the same instant: post_office tells the second so
        send_queued_mail_until_done()
