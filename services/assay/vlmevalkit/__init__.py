"""The only room that imports vlmeval; its code runs in sealed children."""
