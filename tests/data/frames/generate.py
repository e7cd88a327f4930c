#!/usr/bin/env python3
"""Writes vectors.json: sealed frames as es1 section 4 describes them, made apart from the C++ code.

Needs python3-cryptography. Run by hand when the format changes (it must not): the test reads the JSON alone.
"""
import hashlib
import hmac
import json
import pathlib
import struct

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEM, KDF, AEAD = 0x0020, 0x0001, 0x0002
HELLO, WELCOME, BATCH, ACK, NEED_HELLO = 1, 2, 3, 4, 5
UP, DOWN = 0, 1


def mac(key, message):
    return hmac.new(key, message, hashlib.sha256).digest()


def labeled_extract(salt, suite, label, ikm):
    return mac(salt, b"HPKE-v1" + suite + label + ikm)


def labeled_expand(prk, suite, label, info, length=32):
    return mac(prk, struct.pack(">H", length) + b"HPKE-v1" + suite + label + info + b"\x01")[:length]


def exporter_secret(dh, enc, receiver, info):
    suite = b"KEM" + struct.pack(">H", KEM)
    shared = labeled_expand(labeled_extract(b"", suite, b"eae_prk", dh), suite, b"shared_secret", enc + receiver)
    suite = b"HPKE" + struct.pack(">HHH", KEM, KDF, AEAD)
    context = b"\0" + labeled_extract(b"", suite, b"psk_id_hash", b"") + labeled_extract(b"", suite, b"info_hash", info)
    return labeled_expand(labeled_extract(shared, suite, b"secret", b""), suite, b"exp", context)


def export(secret, context):
    return labeled_expand(secret, b"HPKE" + struct.pack(">HHH", KEM, KDF, AEAD), b"sec", context)


def public(key):
    return key.public_key().public_bytes_raw()


class Run:
    def __init__(self, fac, region, ephemeral, site):
        named = bytes([len(fac)]) + fac
        self.named, self.site = named, Ed25519PrivateKey.from_private_bytes(site)
        region, ephemeral = map(X25519PrivateKey.from_private_bytes, (region, ephemeral))
        self.enc = public(ephemeral)
        dh = ephemeral.exchange(X25519PublicKey.from_public_bytes(public(region)))
        secret = exporter_secret(dh, self.enc, public(region), b"egret es1" + named)
        self.keys = {UP: (export(secret, b"es1 up key"), export(secret, b"es1 up nonce")),
                     DOWN: (export(secret, b"es1 down key"), export(secret, b"es1 down nonce"))}
        self.sid = hashlib.sha256(self.enc).digest()[:8]
        self.clear = hashlib.sha256(public(region)).digest()[:4] + self.enc
        self.region = public(region)

    def frame(self, kind, direction, body):
        key, nonce_key = self.keys[direction]
        head = b"E1" + bytes([1 << 4 | 1, kind]) + self.sid
        clear = self.clear if kind == HELLO else b""
        aad = head + clear + self.named + bytes([direction])
        nonce = mac(nonce_key, aad + body)[:12]
        frame = head + nonce + clear + AESGCM(key).encrypt(nonce, body, aad)
        if kind == HELLO:
            frame += self.site.sign(b"es1-hello" + self.named + frame)
        return frame


def main():
    out = []
    for fac, bodies in ((b"clinic-7", (b"", b"hello world", bytes(range(256)))), (b"a" * 32, (b"x",))):
        region, ephemeral, site = (hashlib.sha256(word + fac).digest() for word in (b"region", b"ephemeral", b"site"))
        run = Run(fac, region, ephemeral, site)
        for kind, direction in ((HELLO, UP), (WELCOME, DOWN), (BATCH, UP), (ACK, DOWN)):
            for body in bodies:
                out.append({"fac": fac.decode(), "region_private": region.hex(), "region_public": run.region.hex(),
                            "ephemeral": ephemeral.hex(), "site_private": site.hex(),
                            "site_public": public(run.site).hex(), "enc": run.enc.hex(), "sid": run.sid.hex(),
                            "type": kind, "body": body.hex(), "frame": run.frame(kind, direction, body).hex()})
    pathlib.Path(__file__).with_name("vectors.json").write_text(json.dumps(out, indent=1) + "\n")


main()
