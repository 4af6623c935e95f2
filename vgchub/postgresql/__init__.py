"""Django's PostgreSQL backend (`base`), and statements of our own that are prepared once a connection (`prepared`)."""
