"""Whether a signature of the scheme `bls-unchained-g1-rfc9380` holds: BLS12-381, signatures on G1, the public key on G2.

It takes half a second to import and about one to check, so it is imported where a signature is checked.
"""

import sys
from hashlib import sha256
from typing import Any

from py_ecc.bls.g2_primitives import is_inf, signature_to_G2, subgroup_check
from py_ecc.bls.hash_to_curve import hash_to_G1
from py_ecc.bls.point_compression import decompress_G1
from py_ecc.fields import optimized_bls12_381_FQ12
from py_ecc.optimized_bls12_381 import G2, final_exponentiate, neg, pairing

# py_ecc lets Python recurse a hundred thousand levels deep, and then JSON nested that deeply, from whomever, crashes the process.
sys.setrecursionlimit(1000)  # Python's default

DST = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_"
SIGNATURE_BYTES = 48
KEY_BYTES = 96


def message(round_number: int) -> bytes:
    """What a chain signs for a round: nothing but its number."""
    return sha256(round_number.to_bytes(8, "big")).digest()


def holds(signature: bytes, key: bytes, signed: bytes) -> bool:
    """Whether the owner of `key` (96 bytes) has made `signature` (48 bytes) for `signed`.

    A point has one encoding only, so that a signature that holds can't be written in a second way.
    """
    if len(signature) != SIGNATURE_BYTES or len(key) != KEY_BYTES:
        return False
    try:
        point = _of_the_group(decompress_G1(int.from_bytes(signature, "big")))
        owner = _of_the_group(signature_to_G2(key))  # named for the other scheme, where signatures are 96 bytes
    except ValueError:
        return False
    product = pairing(G2, neg(point), final_exponentiate=False) * pairing(
        owner, hash_to_G1(signed, DST, sha256), final_exponentiate=False
    )
    return bool(final_exponentiate(product) == optimized_bls12_381_FQ12.one())


def _of_the_group(point: Any) -> Any:
    """The point; refused with a ValueError are zero, which signs everything, and what lies outside of the group."""
    if is_inf(point) or not subgroup_check(point):
        raise ValueError("no point of the group")
    return point
