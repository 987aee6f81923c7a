"""Grooves as text, for Grid.from_text."""

GROOVE = """
kick       X...x...X.x.x...|X...x...X.x.x...|X...x...X.x.x...|X...x...X...X.X.|
snare      ....X..-.-..X...|....X..-.-..X...|....X..-.-..X...|....X..-X-X-X.X.|
closed hat x.x.x.x.x.x.x.x.|x.x.x.x.x.x.x.x.|x.x.x.x.x.x.x.x.|x.x.x.x.........|
"""
