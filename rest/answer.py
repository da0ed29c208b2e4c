"""What an operation answers, and how a client that has it already is told so (RFC 9110)."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b


@dataclass(frozen=True, slots=True)
class Answer:
    """The bytes of an answer; of a read also the validator that is the same as long as what they say is."""

    body: bytes
    etag: bytes | None = None

    def __len__(self) -> int:
        return len(self.body)


def make_etag(content: bytes, *, weak: bool = False) -> bytes:
    """The validator of `content`; weak where the body says more than that."""
    tag = b'"%b"' % blake2b(content, digest_size=12).hexdigest().encode()
    return b"W/" + tag if weak else tag


def is_known(etag: bytes, if_none_match: bytes) -> bool:
    """Whether the client has what `etag` stands for; weak validators will do, as they do for reads."""
    wanted = etag.removeprefix(b"W/")
    known = [tag.strip().removeprefix(b"W/") for tag in if_none_match.split(b",")]
    return wanted in known or known == [b"*"]
