"""Publishing a finished data set on the Hugging Face Hub: license check, card and other documents, push."""
