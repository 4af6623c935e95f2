"""Who may do what at which age: pure functions on plain values."""

from dataclasses import dataclass, field
from datetime import date

# Age from which a person can agree to data processing alone (GDPR article 8 and national law; COPPA in the US).
AGE_OF_CONSENT = {
    "AT": 14, "BE": 13, "BG": 14, "CY": 14, "CZ": 15, "DE": 16, "DK": 15, "EE": 13, "ES": 14, "FI": 13, "FR": 15,
    "GB": 13, "GR": 15, "HR": 16, "HU": 16, "IE": 16, "IT": 14, "LT": 14, "LU": 16, "LV": 13, "MT": 13, "NL": 16,
    "NO": 13, "PL": 16, "PT": 13, "RO": 16, "SE": 13, "SI": 15, "SK": 16, "US": 13,
}  # fmt: skip
AGE_OF_CONSENT_UNKNOWN = 16

# Versions of the texts that people agree to; a change of meaning is a new version.
TERMS_VERSION = "2026-11-22"
GUARDIAN_TEXT_VERSION = "2026-11-22"


@dataclass(frozen=True)
class PlayerFacts:
    """What divisions and priority groups look at."""

    birth_date: date
    country: str = ""
    championship_points: int = 0
    best_placement: int | None = None
    seasons_played: int = 0
    memberships: frozenset[int] = field(default_factory=frozenset)


def age_on(birth_date: date, day: date) -> int:
    """Completed years on `day`; somebody born on 29 February turns older on 1 March."""
    return day.year - birth_date.year - ((day.month, day.day) < (birth_date.month, birth_date.day))


def age_of_consent(country: str) -> int:
    """Age in years from which somebody of this country agrees alone."""
    return AGE_OF_CONSENT.get(country, AGE_OF_CONSENT_UNKNOWN)


def needs_guardian(birth_date: date, country: str, day: date) -> bool:
    """Whether a player of this age and country can't agree alone."""
    return age_on(birth_date, day) < age_of_consent(country)
