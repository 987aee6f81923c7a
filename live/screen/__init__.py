"""What is shown while it plays."""
