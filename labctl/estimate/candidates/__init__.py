"""One model as one engine runs it, in the formats it comes in: text, images, speech and training asked alike."""
