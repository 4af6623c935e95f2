from django.apps import AppConfig

from vgchub import celery as _celery  # noqa: F401  makes the Celery app current before any task is called


class VgchubConfig(AppConfig):
    name = "vgchub"
    verbose_name = "VGC Hub"
