"""What pytest calls: the only package that imports it, beside the entry point."""
