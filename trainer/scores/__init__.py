"""What a model wrote and what people played in, honest figures out. NumPy only, no torch.

A figure never stands alone: a trivial baseline is measured beside it on the same windows, and an interval says how far another
draw of takes could move it.
"""
