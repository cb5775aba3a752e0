"""What is done with the winner of a search: trained again, tested on sealed dates."""
