"""The engine: from dispatch to settlement."""
