"""Ten thousand players in one process: over plain HTTP and WebSockets, without Django, so that it costs little beside the site."""
