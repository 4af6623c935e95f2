"""Celery shells of the queue: ids in, one service call."""

from celery import shared_task

from vgchub.celery import wake_on_commit


@shared_task(expires=60)
def send_notices() -> None:
    """Queue the mails that are due, and let them be sent."""
    from registrations.services.notices import send_due_notices
    from vgchub.tasks import send_mail

    while send_due_notices():
        wake_on_commit(send_mail)


@shared_task(expires=60)
def close_registrations() -> None:
    """End the waiting where the last offers are over."""
    from registrations.services.running import close_due_registrations

    close_due_registrations()
