"""The producer: turns calls into messages, and stores them in the broker."""
