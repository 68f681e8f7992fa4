"""Embedded tables and the official numbering; read through `nasbench_ar`."""
