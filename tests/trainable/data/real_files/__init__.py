"""Files in the shapes that people have: read right, or refused with a line that explains them."""
