"""First stage of the report: the records of finished runs and the numbers that papers print, as tables."""
