"""The figures of `experiments.analyze`: each module makes a figure's numbers of a table, and draws them."""
