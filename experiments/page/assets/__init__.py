"""What the page is made of: template, style and scripts; read through `experiments.page.document`."""
