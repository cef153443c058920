"""Live orgs."""
