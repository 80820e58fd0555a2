"""Reading and writing files safely: arrays, archives, pickles, tables, downloads."""
