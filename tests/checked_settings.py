"""The site's settings with the linter of migrations, for bin/check."""

from vgchub.settings import *  # noqa: F403

INSTALLED_APPS += ["django_migration_linter"]  # noqa: F405
