"""The bottom: engines, tables, migrations. Dialects fork here and nowhere else."""
