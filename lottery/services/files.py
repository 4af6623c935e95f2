"""Published files: written once, piece by piece, as one gzip stream in parts."""

import hashlib
import zlib
from collections.abc import Iterable, Iterator

from lottery.models import Draw, DrawFile, DrawFilePart

PART_BYTES = 1 << 20
FAST = 1  # what is random packs to half its size at any level
GZIP = 16 + zlib.MAX_WBITS


def write_file(draw: Draw, name: DrawFile.Name, pieces: Iterable[bytes]) -> DrawFile:
    """Keep what the pieces come to; call it within a transaction. Takes little memory, whatever the size."""
    file = DrawFile.objects.create(draw=draw, name=name)
    digest = hashlib.sha256()
    for number, content in enumerate(_parts(_watched(file, digest, pieces))):
        DrawFilePart.objects.create(file=file, number=number, content=content)
    file.sha256 = digest.hexdigest()
    file.save(update_fields=["sha256", "size"])
    return file


def _watched(file: DrawFile, digest: "hashlib._Hash", pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        digest.update(piece)
        file.size += len(piece)
        yield piece


def _parts(pieces: Iterable[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(FAST, wbits=GZIP)
    part = b""
    for piece in pieces:
        part += packer.compress(piece)
        if len(part) >= PART_BYTES:
            yield part
            part = b""
    yield part + packer.flush()
