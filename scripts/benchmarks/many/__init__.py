"""The group `many`: many small networks at once, against other ways to train them."""
