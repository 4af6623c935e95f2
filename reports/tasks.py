"""Celery shells of reports."""

from celery import shared_task


@shared_task(expires=10)
def seal_history() -> None:
    """Seal what was committed since the last time."""
    from reports import services

    services.seal_history()


@shared_task(expires=60)
def watch_invariants() -> None:
    """Look for exceptions to what must be true, and log each as an error."""
    from reports import services

    services.watch_invariants()
