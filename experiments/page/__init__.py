"""The parts of the HTML report: what `python -m experiments.report` puts on its page.

columns     a table's values, packed into the page without loss
stored      stored runs, read back as `experiments.table2` reports them
series      trajectories and finds of stored runs, as numbers for the page
document    one HTML file from the template, the style and the scripts in `assets/`
"""
