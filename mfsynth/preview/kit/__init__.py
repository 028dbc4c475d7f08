"""What every contact sheet and every page is made with; it knows neither samples nor scores."""
