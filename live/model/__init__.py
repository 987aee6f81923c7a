"""The model, in a process of its own: jobs in, loops out."""
