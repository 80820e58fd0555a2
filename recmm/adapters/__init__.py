"""Methods that were written against another framework's interface, run as methods of recmm."""
