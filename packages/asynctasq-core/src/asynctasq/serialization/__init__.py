"""Turns calls into message bodies, and back."""

from asynctasq.serialization.envelope import Envelope, EnvelopeCodec
from asynctasq.serialization.hooks import TypeHook
from asynctasq.serialization.msgpack import MsgpackSerializer
from asynctasq.serialization.serializer import BaseSerializer
from asynctasq.serialization.signing import Signer

__all__ = [
    "BaseSerializer",
    "Envelope",
    "EnvelopeCodec",
    "MsgpackSerializer",
    "Signer",
    "TypeHook",
]
