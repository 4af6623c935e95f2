"""The web process' worker: gunicorn's with threads, of which those that wait for somebody outside are not counted."""

import socket

from gunicorn.workers.gthread import ThreadWorker

from vgchub.threads import Threads

SILENT_SECONDS = 5  # after which a connection without a request is taken in all the same


class PageWorker(ThreadWorker):
    def init_process(self) -> None:
        # Browsers open connections ahead: where the system can, one comes with its request, and keeps no thread waiting for it.
        if hasattr(socket, "TCP_DEFER_ACCEPT"):
            for listening in self.sockets:
                listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, SILENT_SECONDS)
        super().init_process()

    def get_thread_pool(self) -> Threads:
        return Threads(self.cfg.threads)
