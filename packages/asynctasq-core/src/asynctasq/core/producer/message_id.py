"""Message ids: UUIDs of version 7 (RFC 9562), which sort by their creation time."""

import os
import time


def new_message_id() -> str:
    """Returns a new id of 36 characters."""
    moment = (time.time_ns() // 1_000_000).to_bytes(6, "big")
    digits = (moment + os.urandom(9)).hex()
    # 7 is the version; 8 the variant, and two bits that could be random
    return f"{digits[:8]}-{digits[8:12]}-7{digits[12:15]}-8{digits[15:18]}-{digits[18:]}"
