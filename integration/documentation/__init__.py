"""The documentation: what of it is made from the code, and tests of the rest."""
