"""Models in a form that trains many members as one program, with a hand-written backward."""
