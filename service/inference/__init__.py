"""One bundle at work: from decoded images to answers, and which bundles are served."""
