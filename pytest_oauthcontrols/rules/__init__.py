"""What decides a control."""
