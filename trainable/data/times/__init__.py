"""What a cell of the time column means, and how many bars make a year."""
