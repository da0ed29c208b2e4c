"""Manifests for Kubernetes, made from one file of values; README.md beside this says how they are used."""
