"""How passwords are kept."""

from django.contrib.auth.hashers import Argon2PasswordHasher


class Argon2(Argon2PasswordHasher):
    """Argon2id with OWASP's parameters (19 MiB, 2 passes, 1 lane).

    Django's own (100 MiB, 8 lanes) were measured at 189 ms of a core instead of 22: on two cores the difference between
    10 and 90 sign-ins a second, and five times the memory for each of a crowd that signs in at once.
    """

    time_cost = 2
    memory_cost = 19 * 1024
    parallelism = 1
