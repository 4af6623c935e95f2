"""dj-stripe's migrations, with its first three squashed into one.

Its second one removes 514 fields one by one, and Django draws up some sixty models anew for each: 40 seconds
before the first page of a fresh database. The squashed one takes one second. Upstream's own files
are on the path too: a database that ran them is recognised (`replaces`), and what a later dj-stripe adds is
found and run.
"""

from djstripe import migrations as upstream

__path__ = [*__path__, *upstream.__path__]
