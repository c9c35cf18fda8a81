"""Projects out of and into the files of other programs, one module per format; what is lost is said."""
