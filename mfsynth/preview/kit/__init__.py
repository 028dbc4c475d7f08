"""What all contact sheets and pages are made with; it knows neither samples nor scores."""
