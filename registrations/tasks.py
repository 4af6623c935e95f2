"""Celery shells of the queue: ids in, one service call."""

from celery import shared_task


@shared_task(expires=60)
def send_notices() -> None:
    """Queue the mails that are due, then let them be sent."""
    from post_office.mail import send_queued_mail_until_done

    from registrations.services.notices import BATCH, send_due_notices

    while send_due_notices() == BATCH:
        pass
    send_queued_mail_until_done()


@shared_task(expires=60)
def close_registrations() -> None:
    """End the waiting where the last offers are over."""
    from registrations.services.running import close_due_registrations

    close_due_registrations()
