"""What workers that only pretend to train have in common: their members come and go."""

from trainable.worker.assignment import Instructions


def follow(epochs: dict[int, int], instructions: Instructions) -> None:
    """Lets members go and takes others in, each with the last epoch that is known of it.

    Args:
        epochs: last epoch of each member, by its number; changed in place.
        instructions: of the controller.
    """
    for number in (*instructions.leave, *instructions.save):
        epochs.pop(number, None)
    epochs |= {member.number: member.known for member in instructions.join}
