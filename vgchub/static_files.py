"""How static files are stored in production: compressed, under names that carry a hash of what is in them."""

from whitenoise.storage import CompressedManifestStaticFilesStorage


class HashedStaticFiles(CompressedManifestStaticFilesStorage):
    """Also rewrites what our own modules import from each other, so that no browser mixes old modules with new ones.

    Django can do that for every script it finds; those of third parties are left alone, they name files that don't exist.
    """

    patterns = (
        *CompressedManifestStaticFilesStorage.patterns,
        ("js/*.js", CompressedManifestStaticFilesStorage._js_module_import_aggregation_patterns[1]),  # noqa: SLF001
    )
