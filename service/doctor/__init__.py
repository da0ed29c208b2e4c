"""Looking at everything that a deployment is made of, and saying what to do about what is not as it should be."""
