"""What happened, as frozen records."""
