"""Jobs that belong to no app."""

from datetime import timedelta

from celery import shared_task
from django.db import transaction
from django.utils import timezone
from post_office.mail import _send_bulk, attach_templates, get_queued
from post_office.models import Email

# Longer than a batch takes at most: post_office gives up after BATCH_DELIVERY_TIMEOUT, three minutes.
CLAIMED = timedelta(minutes=5)


@shared_task(expires=60)
def send_mail() -> None:
    """Send what lies in the mail queue, batch by batch. Any number of processes may do it, on any number of machines.

    post_office's own command keeps others away by a file, which those on another machine don't see; what it does with the
    mails themselves it gives no public name to.
    """
    while mails := _claim():
        _send_bulk(mails, uses_multiprocessing=False)


def _claim() -> list[Email]:
    """The next batch, which nobody else takes meanwhile. Of a process that died it is due again when its claim is over."""
    with transaction.atomic():
        mails = list(get_queued().select_for_update(skip_locked=True))
        Email.objects.filter(pk__in=[mail.pk for mail in mails]).update(scheduled_time=timezone.now() + CLAIMED)
    attach_templates(mails)
    return mails
