"""Pascal VOC XML, as the VOC development kit, labelImg and others write it: read into samples and written from them."""
