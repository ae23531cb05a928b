"""The driver of `assay run`: decide's actions as processes of this machine."""
