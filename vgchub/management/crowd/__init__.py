"""A crowd of players who use the site over HTTP, each from an address of its own: to see the line move, and to test it."""
