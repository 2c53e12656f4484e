"""What a request may carry, and what is said of one that carries more."""

from dataclasses import dataclass

from service.errors import TooLarge


@dataclass(frozen=True)
class Limits:
    """What a request may carry: bytes of one picture, of a batch, of an unpacked archive, and pictures in a batch."""

    image_bytes: int
    batch_bytes: int
    unpacked_bytes: int
    batch_items: int

    def checked(self, picture: bytes) -> bytes:
        """The picture itself, if it may have so many bytes; raises `TooLarge` if not."""
        if len(picture) > self.image_bytes:
            raise TooLarge(f"the picture has {len(picture)} bytes; at most {self.image_bytes} are allowed")
        return picture

    def too_long(self) -> TooLarge:
        """Of a picture of which more than allowed was seen, nobody knows how much."""
        return TooLarge(f"the picture has more than {self.image_bytes} bytes; at most that many are allowed")

    def too_many(self) -> TooLarge:
        return TooLarge(f"the batch has more than {self.batch_items} items; at most that many are allowed")

    def unpacks_too_large(self) -> TooLarge:
        return TooLarge(f"the archive unpacks to more than {self.unpacked_bytes} bytes; at most that many are allowed")
