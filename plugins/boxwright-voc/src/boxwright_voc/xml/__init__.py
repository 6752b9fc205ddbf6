"""Pascal VOC XML, as the VOC development kit, labelImg and others write it: parsing and writing."""
