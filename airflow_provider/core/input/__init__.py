"""Input: values, conditions and problems of rows and arguments."""
