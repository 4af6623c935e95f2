"""Mails go into the real queue here: Django's test runner puts a list in its place."""

import pytest
from pytest_django import Settings


@pytest.fixture(autouse=True)
def _mail_queue(settings: Settings) -> None:
    settings.EMAIL_BACKEND = "post_office.EmailBackend"
