"""The parts of the contract for stores."""
