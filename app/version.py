"""The version of the service; in the code, because an image holds no metadata of the package."""

VERSION = "0.1.0"
