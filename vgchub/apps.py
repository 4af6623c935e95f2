from django.apps import AppConfig


class VgchubConfig(AppConfig):
    name = "vgchub"
    verbose_name = "VGC Hub"
