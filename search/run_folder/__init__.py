"""The files of `runs/NAME/`: who writes there, every report, and the tables made of them."""
