"""The documentation: pages generated from the code, and tests of the others."""
