"""What production does to a broker and its workers, done on purpose, and what it cost."""
