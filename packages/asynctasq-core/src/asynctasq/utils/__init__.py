"""Running a program: its event loop, its waits, its garbage collection."""
