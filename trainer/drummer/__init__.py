"""How the one model for every task is taught: windows and their labels in, lessons and their costs out."""
