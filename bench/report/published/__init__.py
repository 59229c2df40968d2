"""What is printed of figures that others have published."""
