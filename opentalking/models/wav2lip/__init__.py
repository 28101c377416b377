"""The local wav2lip model: a published network repaints the mouth of a picture, or of a short clip, after the sound."""
