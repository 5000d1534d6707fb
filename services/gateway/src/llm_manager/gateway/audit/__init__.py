"""What was done to the control plane, by whom: written with the change itself, and chained so that nothing goes."""
