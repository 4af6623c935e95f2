"""Celery shells of reports."""

from celery import shared_task


@shared_task(expires=10)
def seal_history() -> None:
    """Seal what was committed since the last time."""
    from reports import services

    services.seal_history()
