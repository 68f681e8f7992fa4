"""The parts of the HTML report: what `python -m experiments.report` puts on its page."""
