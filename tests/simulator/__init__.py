"""The simulator, tested alone: these tests need neither the site nor a database."""
