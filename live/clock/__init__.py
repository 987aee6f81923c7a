"""The sender's clock: messages with their arrival times in, a timeline of beats out. Pure."""
