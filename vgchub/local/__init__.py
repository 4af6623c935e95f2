"""What stands behind `bin/run`: embedded PostgreSQL and Valkey, the site's processes, one supervisor over all.

Nothing in here imports Django or the site, so that a broken site can still be started, watched and stopped.
"""
