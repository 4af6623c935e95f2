"""How static files are stored in production: compressed, under names that carry a hash of what is in them."""

from functools import cache

from whitenoise.storage import CompressedManifestStaticFilesStorage


class HashedStaticFiles(CompressedManifestStaticFilesStorage):
    """Also rewrites what our own modules import from each other, so that no browser mixes old modules with new ones.

    Django can do that for every script it finds; those of third parties are left alone, they name files that don't exist.
    """

    patterns = (
        *CompressedManifestStaticFilesStorage.patterns,
        ("js/*.js", CompressedManifestStaticFilesStorage._js_module_import_aggregation_patterns[1]),  # noqa: SLF001
    )

    @cache  # noqa: B019  there is one for as long as the process lives, and so long its files stay as they are
    def url(self, name: str, force: bool = False) -> str:
        """The file's address; a page asks for twenty."""
        address: str = super().url(name, force)
        return address
