"""Pure functions on arrays and numbers: draw a recipe, render a scene."""
