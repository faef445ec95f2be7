"""The parts that models are made of: attention, recurrent cells, positions, losses. Tensors only, never a string."""
