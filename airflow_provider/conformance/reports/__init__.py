"""Reports: results as a document made of shapes, and the last pass that finds credentials in it."""
