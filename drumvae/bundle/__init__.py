"""The exported model's folder: its format, the schema of its inputs, its safety checks and its model card."""
