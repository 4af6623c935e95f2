"""A small server that speaks the part of Stripe's API which the site uses: for `bin/run` and for tests.

No money moves. It stands alone: it imports nothing of the site, and nothing of the site imports it.
"""
