"""What was read of an org: its apps and settings, in no file and on no network."""
