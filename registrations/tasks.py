"""Celery shells of the queue: ids in, one service call."""

import time

from celery import shared_task

from vgchub.celery import wake_on_commit

TURN_SECONDS = 5.0


@shared_task(expires=60)
def send_notices() -> None:
    """Queue the mails that are due, and let them be sent. With a crowd's mails it lets other jobs have their turn in between."""
    from registrations.services.notices import send_due_notices
    from vgchub.tasks import send_mail

    ends = time.monotonic() + TURN_SECONDS
    while send_due_notices():
        wake_on_commit(send_mail)
        if time.monotonic() >= ends:
            wake_on_commit(send_notices)
            return


@shared_task(expires=60)
def close_registrations() -> None:
    """End the waiting where the last offers are over."""
    from registrations.services.running import close_due_registrations

    close_due_registrations()
