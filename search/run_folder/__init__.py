"""The files of `runs/NAME/`: who may write there, every report, and the tables made of them."""
