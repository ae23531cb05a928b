"""Scripts for another interpreter: the one that has torch. Nothing of Assay is imported in them."""
